-- How the person made sure of a contact's key, also before the contact was ever met on a wire.
ALTER TABLE contact ADD COLUMN verified TEXT CHECK (verified IN ('number', 'qr'));
