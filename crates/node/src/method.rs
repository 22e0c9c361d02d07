//! The methods of a node: one list from which calls, dispatch and the API's schema come.

mod types;

use crate::Error;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
pub use types::*;

/// One method: its name, what it takes and what it gives.
pub trait Method {
    /// Its name on every transport.
    const NAME: &'static str;
    /// One sentence for people.
    const ABOUT: &'static str;
    /// What it takes: a struct, written as an object.
    type Params: Serialize + DeserializeOwned + JsonSchema;
    /// What it gives.
    type Result: Serialize + DeserializeOwned + JsonSchema;
}

/// A method as data, for the schema.
#[derive(Clone)]
pub struct Description {
    /// [`Method::NAME`].
    pub name: &'static str,
    /// [`Method::ABOUT`].
    pub about: &'static str,
    /// The schema of [`Method::Params`].
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of [`Method::Result`].
    pub result: fn(&mut SchemaGenerator) -> Schema,
}

macro_rules! methods {
    ($($(#[doc = $about:literal])+ $variant:ident $name:literal: $params:ty => $result:ty;)*) => {
        $(
            $(#[doc = $about])+
            #[derive(Clone, Copy, Debug)]
            pub struct $variant;

            impl Method for $variant {
                const NAME: &'static str = $name;
                const ABOUT: &'static str = concat!($($about),+).trim_ascii();
                type Params = $params;
                type Result = $result;
            }
        )*

        /// One call: a method with its parameters.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Call {
            $($(#[doc = $about])+ $variant($params),)*
        }

        impl Call {
            /// Reads a call from its name and parameters.
            ///
            /// # Errors
            /// [`Error::NotFound`] for an unknown name, [`Error::BadInput`] for parameters that do not fit.
            pub fn parse(name: &str, params: Value) -> Result<Self, Error> {
                match name {
                    $($name => Ok(Self::$variant(read(params)?)),)*
                    _ => Err(Error::NotFound { what: "method", name: name.to_owned() }),
                }
            }

            /// The name of its method.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }
        }

        /// All methods, in the order of the manual.
        pub fn descriptions() -> Vec<Description> {
            vec![$(Description {
                name: $name,
                about: <$variant as Method>::ABOUT,
                params: |generator| generator.subschema_for::<$params>(),
                result: |generator| generator.subschema_for::<$result>(),
            },)*]
        }
    };
}

methods! {
    /// Shows who this node is.
    IdentityShow "identity.show": Nothing => IdentityInfo;
    /// Changes the name contacts see.
    IdentityRename "identity.rename": Rename => IdentityInfo;
    /// Replaces the transport key; contacts learn of it with the next connection.
    IdentityRotate "identity.rotate": Nothing => IdentityInfo;
    /// Gives the own contact card as a link, with a one-time invite if asked.
    CardShow "card.show": CardParams => CardInfo;
    /// Lists the invites not yet used.
    CardInvites "card.invites": Nothing => Vec<InviteInfo>;
    /// Lists contacts.
    ContactsList "contacts.list": Nothing => Vec<ContactInfo>;
    /// Shows one contact.
    ContactsShow "contacts.show": ContactParams => ContactInfo;
    /// Lists people who wrote without an invite and wait to be accepted.
    ContactsRequests "contacts.requests": Nothing => Vec<RequestInfo>;
    /// Adds a contact from a card, an invite or an SREMP invitation.
    ContactsAdd "contacts.add": AddContact => ContactInfo;
    /// Accepts somebody who waits, or unblocks somebody.
    ContactsAccept "contacts.accept": ContactParams => ContactInfo;
    /// Refuses all letters and connections of somebody from now on.
    ContactsBlock "contacts.block": ContactParams => ContactInfo;
    /// Changes the name under which a contact is shown here.
    ContactsRename "contacts.rename": RenameContact => ContactInfo;
    /// Removes a contact, with its history if asked.
    ContactsRemove "contacts.remove": RemoveContact => Done;
    /// Gives the number and the code by which two people verify each other.
    ContactsVerification "contacts.verification": ContactParams => Verification;
    /// Shows, makes, sets or forgets the key shared with a contact, for wires that want one.
    ContactsPsk "contacts.psk": PskParams => PskInfo;
    /// Marks a contact as verified, after comparing the number or scanning the code.
    ContactsVerify "contacts.verify": VerifyContact => ContactInfo;
    /// Writes a letter. Returns when it is on disk; the same id again changes nothing.
    LettersSend "letters.send": SendLetter => SentLetter;
    /// Lists letters that came in, oldest first.
    LettersInbox "letters.inbox": InboxParams => Page;
    /// Lists the conversation with a contact, newest page first, oldest letter first in it.
    LettersHistory "letters.history": HistoryParams => Page;
    /// Finds letters by words in their text.
    LettersSearch "letters.search": SearchParams => Page;
    /// Marks letters of a contact as read; tells the sender if receipts are on.
    LettersRead "letters.read": ReadLetters => Done;
    /// Shows every step one letter went, and by which way.
    LettersTrace "letters.trace": LetterParams => Trace;
    /// Shows how the node and its wires are.
    NodeStatus "node.status": Nothing => Status;
    /// Checks what could keep letters from flowing and says what to do.
    NodeDoctor "node.doctor": Nothing => Vec<Check>;
    /// Lists warnings, newest first.
    NodeWarnings "node.warnings": Nothing => Vec<WarningInfo>;
    /// Lists the relays and rendezvous servers this person uses, and how they are.
    ServersList "servers.list": Nothing => Vec<ServerInfo>;
    /// Lists servers that rendezvous servers named; none is used before it is added.
    ServersSuggested "servers.suggested": Nothing => Vec<SuggestedServer>;
    /// Adds a relay, where letters wait while this node is away, or a rendezvous server, by which contacts find it.
    ServersAdd "servers.add": AddServer => ServerInfo;
    /// Stops using a server; contacts are told.
    ServersRemove "servers.remove": ServerParams => Done;
    /// Connects to a server anew and says whether it works.
    ServersTest "servers.test": ServerParams => ServerTest;
    /// Names the path by which a contact is reached now, and how long it takes.
    NodePing "node.ping": PingParams => Pong;
    /// Writes an encrypted backup of everything to a new file.
    BackupExport "backup.export": ExportParams => ExportInfo;
    /// Stops the node after what it is doing is on disk.
    NodeStop "node.stop": Nothing => Done;
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Error> {
    let params = if params.is_null() { Value::Object(serde_json::Map::new()) } else { params };
    serde_json::from_value(params).map_err(|error| Error::BadInput(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_call_by_name_and_refuses_what_does_not_fit() {
        let call = Call::parse("letters.trace", serde_json::json!({"letter": "00".repeat(16)})).unwrap();
        assert_eq!(call.name(), "letters.trace");
        assert!(matches!(Call::parse("identity.show", Value::Null), Ok(Call::IdentityShow(_))));
        assert!(matches!(Call::parse("letters.trace", Value::Null), Err(Error::BadInput(_))));
        assert!(matches!(Call::parse("nobody", Value::Null), Err(Error::NotFound { .. })));
        let unknown = serde_json::json!({"letter": "00".repeat(16), "more": 1});
        assert!(matches!(Call::parse("letters.trace", unknown), Err(Error::BadInput(_))));
    }
}
