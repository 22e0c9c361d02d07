//! `waypost inbox`, `history`, `search`, `read`, `trace`: letters that are there.

use crate::args::{History, Inbox, List, Read, Search, Trace as TraceArgs};
use crate::command::with_session;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{LetterLine, Output, Table, clean_line, day_and_time, time_of_day};
use crate::session::{Network, Session};
use unicode_width::UnicodeWidthStr;
use waypost_core::{ErrorKind, LetterId};
use waypost_node::method::{
    ContactRef, ContactsList, Entry, HistoryParams, InboxParams, LetterParams, LettersHistory, LettersInbox,
    LettersRead, LettersSearch, LettersTrace, Nothing, Page, ReadLetters, SearchParams, Trace,
};

/// Shows what came in.
pub(crate) async fn inbox(context: &Context, args: &Inbox) -> Result<(), Failure> {
    let params = InboxParams { after: args.after, limit: Some(args.list.limit), unread: args.unread };
    let page = with_session(context, Network::Off, async |session| session.call::<LettersInbox>(params).await).await?;
    print(context.output, &args.list, &page, if args.unread { "nothing unread" } else { "the inbox is empty" })
}

/// Shows a conversation.
pub(crate) async fn history(context: &Context, args: History) -> Result<(), Failure> {
    let params = HistoryParams { contact: args.who.reference(), before: args.before, limit: Some(args.list.limit) };
    let page =
        with_session(context, Network::Off, async |session| session.call::<LettersHistory>(params).await).await?;
    print(context.output, &args.list, &page, "no letters yet")
}

/// Finds letters by words.
pub(crate) async fn search(context: &Context, args: Search) -> Result<(), Failure> {
    let contact = args.contact.map(ContactRef);
    let params = SearchParams { query: args.words.join(" "), contact, limit: Some(args.list.limit) };
    let page = with_session(context, Network::Off, async |session| session.call::<LettersSearch>(params).await).await?;
    print(context.output, &args.list, &page, "nothing found")
}

/// Marks letters as read. The network is used, so that a receipt can leave.
pub(crate) async fn read(context: &Context, args: Read) -> Result<(), Failure> {
    let done = with_session(context, Network::Dial, async |session| {
        let contact = args.who.reference();
        let mut letters = Vec::new();
        for text in &args.letters {
            letters.push(find(session, text, Some(&contact)).await?);
        }
        let letters = (!letters.is_empty()).then_some(letters);
        session.call::<LettersRead>(ReadLetters { contact, letters }).await
    })
    .await?;
    context.output.result(&done, |done| match done.changed {
        0 => "nothing was unread\n".to_owned(),
        1 => "1 letter is now read\n".to_owned(),
        count => format!("{count} letters are now read\n"),
    })
}

/// Shows how a letter travelled.
pub(crate) async fn trace(context: &Context, args: &TraceArgs) -> Result<(), Failure> {
    let trace = with_session(context, Network::Off, async |session| {
        let letter = find(session, &args.letter, None).await?;
        session.call::<LettersTrace>(LetterParams { letter }).await
    })
    .await?;
    context.output.result(&trace, trace_text)
}

fn trace_text(trace: &Trace) -> String {
    let mut text = format!("Letter {}\n", trace.letter);
    let mut table = Table::new(["time", "step", "route"]);
    for step in &trace.steps {
        let route = step.route.map_or(String::new(), |route| format!("#{route}"));
        table.row([format!("{}:{}", day_and_time(step.at), seconds(step.at)), clean_line(&step.what), route]);
    }
    text.push_str(&table.text());
    if trace.routes.is_empty() {
        return text;
    }
    let mut table = Table::new(["route", "wire", "via", "started", "took", "outcome", "protection"]);
    for route in &trace.routes {
        let took = route.ended.map(|ended| ended.since(route.started).as_millis());
        let protection = route.protection;
        let kept = [
            (protection.end_to_end, "end-to-end"),
            (protection.forward_secret, "forward secret"),
            (protection.post_quantum, "post-quantum"),
            (protection.verified, "verified"),
        ];
        let kept: Vec<&str> = kept.into_iter().filter_map(|(kept, name)| kept.then_some(name)).collect();
        table.row([
            format!("#{}", route.route),
            route.wire.to_string(),
            clean_line(&route.via),
            time_of_day(route.started),
            took.map_or("-".to_owned(), |took| format!("{took} ms")),
            clean_line(&route.outcome),
            if kept.is_empty() { "NONE".to_owned() } else { kept.join(", ") },
        ]);
    }
    text.push('\n');
    text + &table.text()
}

fn seconds(at: waypost_core::Wall) -> String {
    format!("{:02}", at.as_secs() % 60)
}

/// A letter by its id or, in a conversation or all, by the beginning of it.
pub(super) async fn find(session: &Session, text: &str, contact: Option<&ContactRef>) -> Result<LetterId, Failure> {
    let text = text.to_ascii_lowercase();
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.len() < 4 || text.len() > 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("\"{}\" is not the id of a letter", clean_line(&text));
        return Err(Failure::bad_input(message).or_hint("`waypost history CONTACT` shows ids"));
    }
    let contacts = match contact {
        Some(contact) => vec![contact.clone()],
        None => {
            let all = session.call::<ContactsList>(Nothing {}).await?;
            all.into_iter().map(|contact| ContactRef(contact.contact.to_string())).collect()
        }
    };
    let mut found: Vec<LetterId> = Vec::new();
    for contact in contacts {
        found.extend(beginning_with(session, &text, contact).await?);
    }
    found.sort();
    found.dedup();
    match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(Failure::new(ErrorKind::NotFound, format!("no letter has an id that begins with {text}"))
            .or_hint("`waypost history CONTACT` shows ids")),
        _ => Err(Failure::bad_input(format!("several letters have ids that begin with {text}"))
            .or_hint("give more digits; `--ids` shows ids whole")),
    }
}

/// Goes through a conversation from its end, to the first page with a match.
async fn beginning_with(session: &Session, text: &str, contact: ContactRef) -> Result<Vec<LetterId>, Failure> {
    let mut before = None;
    loop {
        let params = HistoryParams { contact: contact.clone(), before, limit: Some(500) };
        let page = session.call::<LettersHistory>(params).await?;
        let ids = page.entries.iter().map(|entry| entry.id);
        let found: Vec<LetterId> = ids.filter(|id| id.to_string().starts_with(text)).collect();
        before = page.entries.iter().map(|entry| entry.seq).min();
        if !found.is_empty() || before.is_none() {
            return Ok(found);
        }
    }
}

fn print(output: Output, list: &List, page: &Page, nothing: &str) -> Result<(), Failure> {
    if page.entries.is_empty() {
        output.talk(nothing);
    }
    output.result(page, |page| lines(output, list.ids, &page.entries))
}

/// Letters, one below the other.
pub(super) fn lines(output: Output, whole_ids: bool, entries: &[Entry]) -> String {
    let name_width = entries.iter().map(|entry| clean_line(&entry.name).width()).max().unwrap_or(0).clamp(2, 20);
    let line = LetterLine { output, whole_ids, name_width };
    entries.iter().map(|entry| line.text(entry) + "\n").collect()
}
