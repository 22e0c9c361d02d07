//! Part of Waypost.
