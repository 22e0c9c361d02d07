//! `waypost contact`: the people this node knows.

use crate::args::{Contact, PskArgs, Verify, Who};
use crate::command::{card::draw, with_session};
use crate::context::{Context, read_input};
use crate::failure::Failure;
use crate::output::{Output, Table, clean_line, day_and_time};
use crate::session::Network;
use std::io::{self, BufRead, IsTerminal, Write};
use waypost_core::ErrorKind;
use waypost_node::Method;
use waypost_node::method::{
    AddContact, ContactInfo, ContactParams, ContactRef, ContactsAccept, ContactsAdd, ContactsBlock, ContactsList,
    ContactsPsk, ContactsRemove, ContactsRename, ContactsRequests, ContactsShow, ContactsVerification, ContactsVerify,
    Nothing, PskInfo, PskParams, RemoveContact, RenameContact, RequestInfo, Verification, VerifyContact,
};

/// Does one of the commands about contacts.
pub(crate) async fn run(context: &Context, command: Contact) -> Result<(), Failure> {
    let output = context.output;
    match command {
        Contact::Add { card, name } => add(context, card, name).await,
        Contact::List => {
            let contacts = call::<ContactsList>(context, Nothing {}).await?;
            output.result(&contacts, |contacts| list_text(contacts))
        }
        Contact::Show(who) => {
            let contact = call::<ContactsShow>(context, who.params()).await?;
            output.result(&contact, |contact| show_text(contact, output))
        }
        Contact::Requests => {
            let requests = call::<ContactsRequests>(context, Nothing {}).await?;
            output.result(&requests, |requests| requests_text(requests))
        }
        Contact::Accept(who) => changed::<ContactsAccept>(context, who.params(), "accepted").await,
        Contact::Block(who) => changed::<ContactsBlock>(context, who.params(), "blocked").await,
        Contact::Unblock(who) => changed::<ContactsAccept>(context, who.params(), "unblocked").await,
        Contact::Rename { who, name } => {
            let params = RenameContact { contact: who.reference(), name };
            changed::<ContactsRename>(context, params, "renamed to").await
        }
        Contact::Remove { who, forget, yes } => remove(context, &who, forget, yes).await,
        Contact::Verify(args) => verify(context, args).await,
        Contact::Psk(args) => psk(context, args).await,
    }
}

impl Who {
    pub(super) fn reference(&self) -> ContactRef {
        ContactRef(self.contact.clone())
    }

    pub(super) fn params(&self) -> ContactParams {
        ContactParams { contact: self.reference() }
    }
}

async fn call<M: Method>(context: &Context, params: M::Params) -> Result<M::Result, Failure> {
    with_session(context, Network::Off, async |session| session.call::<M>(params).await).await
}

async fn changed<M: Method<Result = ContactInfo>>(
    context: &Context,
    params: M::Params,
    done: &str,
) -> Result<(), Failure> {
    let contact = call::<M>(context, params).await?;
    context.output.result(&contact, |contact| format!("{done} {}", clean_line(&contact.name)))
}

async fn add(context: &Context, card: String, name: Option<String>) -> Result<(), Failure> {
    let card = if card == "-" { read_input()? } else { card };
    let params = AddContact { card: card.trim().to_owned(), name };
    let contact = call::<ContactsAdd>(context, params).await?;
    context.output.result(&contact, |contact| format!("added {}", clean_line(&contact.name)))?;
    let name = clean_line(&contact.name);
    if contact.verified.is_none() {
        context.output.talk(&format!("Not verified yet: compare keys with `waypost contact verify '{name}'`."));
    }
    Ok(())
}

async fn remove(context: &Context, who: &Who, forget: bool, yes: bool) -> Result<(), Failure> {
    if forget && !yes && !confirm(context.output, &who.contact)? {
        return Err(Failure::new(ErrorKind::Refused, "nothing was removed"));
    }
    let done = call::<ContactsRemove>(context, RemoveContact { contact: who.reference(), forget }).await?;
    context.output.result(&done, |_| format!("removed {}", clean_line(&who.contact)))
}

fn confirm(output: Output, name: &str) -> Result<bool, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::bad_input("--forget deletes the whole conversation").or_hint("add --yes if you mean it"));
    }
    let _ = write!(io::stderr(), "Delete the whole conversation with {}? [y/N] ", clean_line(name));
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).is_err() {
        output.talk("");
    }
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

async fn psk(context: &Context, args: PskArgs) -> Result<(), Failure> {
    let line = match &args.file {
        None => None,
        Some(file) if file.as_os_str() == "-" => Some(read_input()?),
        Some(file) => {
            Some(std::fs::read_to_string(file).map_err(|error| Failure::file("read the key in", file, &error))?)
        }
    };
    let params = PskParams {
        contact: args.who.reference(),
        line: line.map(|line| line.trim().to_owned()),
        generate: args.generate,
        remove: args.remove,
        address: args.address,
    };
    let mut info = call::<ContactsPsk>(context, params).await?;
    // A secret is shown to those who ask for it.
    let secret = info.line.take().filter(|_| args.show || args.generate);
    let shared = info.from.is_some();
    info.line.clone_from(&secret);
    let name = clean_line(&args.who.contact);
    context.output.result(&info, |info| match &secret {
        Some(line) => format!("{}\n", clean_line(line)),
        None => psk_text(info, &name),
    })?;
    if args.generate {
        context.output.talk(&format!(
            "{name} takes it with `waypost contact psk YOUR-NAME --file -`. Whoever sees it can pretend to be near you; \
             your letters stay sealed."
        ));
    } else if shared && info.addresses.is_empty() && !context.output.is_json() {
        context.output.talk(&format!(
            "It is not known where {name} listens: wait for {name} to connect, or say so with --address."
        ));
    }
    Ok(())
}

fn psk_text(info: &PskInfo, name: &str) -> String {
    let mut text = match info.from.as_deref() {
        None => format!("no key is shared with {name}\n"),
        Some("invite") => format!("a key is shared with {name}, from the invite\n"),
        Some(_) => format!("a key is shared with {name}\n"),
    };
    for address in &info.addresses {
        text.push_str(&format!("listens at {}\n", clean_line(&address.to_string())));
    }
    text
}

async fn verify(context: &Context, args: Verify) -> Result<(), Failure> {
    let contact = args.who.reference();
    if args.number.is_some() || args.scanned.is_some() {
        let params = VerifyContact { contact, number: args.number, qr: args.scanned };
        let confirmed = call::<ContactsVerify>(context, params)
            .await
            .map_err(|failure| failure.or_hint("compare again; if it stays so, somebody may stand between you"))?;
        return context.output.result(&confirmed, |contact| format!("verified {}", clean_line(&contact.name)));
    }
    let verification = call::<ContactsVerification>(context, args.who.params()).await?;
    draw(context.output, &args.picture, &verification.qr)?;
    context.output.result(&verification, number_text)?;
    let name = clean_line(&args.who.contact);
    context.output.talk(&format!(
        "Ask {name} to run the same command and to read out the number there. Then confirm with\n\
         `waypost contact verify '{name}' --number 'WHAT YOU HEARD'`."
    ));
    Ok(())
}

/// Twelve groups in three rows.
fn number_text(verification: &Verification) -> String {
    let groups: Vec<&str> = verification.number.split_whitespace().collect();
    groups.chunks(4).map(|row| clean_line(&row.join("  ")) + "\n").collect()
}

fn list_text(contacts: &[ContactInfo]) -> String {
    if contacts.is_empty() {
        return "no contacts yet; add one with `waypost contact add`\n".to_owned();
    }
    let mut table = Table::new(["name", "state", "verified", "unread", "id"]);
    for contact in contacts {
        table.row([
            clean_line(&contact.name),
            state(contact),
            contact.verified.as_deref().map_or("no".to_owned(), |how| format!("by {}", clean_line(how))),
            contact.unread.to_string(),
            contact.contact.to_string(),
        ]);
    }
    table.text()
}

fn state(contact: &ContactInfo) -> String {
    match contact.status.as_str() {
        "contact" if contact.online => "online".to_owned(),
        "contact" => "offline".to_owned(),
        other => clean_line(other),
    }
}

fn show_text(contact: &ContactInfo, output: Output) -> String {
    let mut table = Table::plain();
    table.row(["Name:".into(), clean_line(&contact.name)]);
    if let Some(username) = contact.username.as_deref().filter(|username| *username != contact.name) {
        table.row(["Calls itself:".into(), clean_line(username)]);
    }
    table.row(["Id:".into(), contact.contact.to_string()]);
    table.row(["State:".into(), state(contact)]);
    table.row(["Trust:".into(), clean_line(&contact.trust)]);
    let verified = contact.verified.as_deref().map_or("no".to_owned(), |how| format!("by {}", clean_line(how)));
    table.row(["Verified:".into(), verified]);
    for address in &contact.addresses {
        table.row(["Reachable at:".into(), clean_line(&address.to_string())]);
    }
    table.row(["Added:".into(), day_and_time(contact.added)]);
    table.row(["Last heard of:".into(), contact.last_seen.map_or("never".to_owned(), day_and_time)]);
    table.row(["Unread letters:".into(), contact.unread.to_string()]);
    let mut text = table.text();
    for warning in &contact.warnings {
        text.push_str(&output.alarm(&format!("Warning: {}", clean_line(warning))));
        text.push('\n');
    }
    text
}

fn requests_text(requests: &[RequestInfo]) -> String {
    if requests.is_empty() {
        return "nobody waits\n".to_owned();
    }
    let mut table = Table::new(["name", "letters", "since", "id", "first words"]);
    for request in requests {
        table.row([
            clean_line(&request.contact.name),
            request.letters.to_string(),
            day_and_time(request.contact.added),
            request.contact.contact.to_string(),
            clean_line(request.preview.as_deref().unwrap_or_default()),
        ]);
    }
    table.text() + "Accept with `waypost contact accept ID`, or refuse with `waypost contact block ID`.\n"
}
