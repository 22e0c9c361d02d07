//! `waypost chat`: a conversation, line by line.

mod line;

use crate::args::Chat;
use crate::command::{send::is_final, with_session};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{LetterLine, Output, clean_line, time_of_day};
use crate::session::{Network, Session, SessionEvents};
use line::{HELP, Line};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use tokio::time::{Instant, sleep_until};
use waypost_core::{Body, ContactId, LetterId, Wall};
use waypost_node::Event;
use waypost_node::method::{
    ContactInfo, ContactsShow, Entry, HistoryParams, LettersHistory, LettersRead, LettersSend, ReadLetters, SendLetter,
};

/// Talks with a contact until the input ends.
pub(crate) async fn run(context: &Context, args: Chat) -> Result<(), Failure> {
    with_session(context, Network::Full, async |session| {
        let contact = session.call::<ContactsShow>(args.who.params()).await?;
        let mut events = session.events().await?;
        let mut chat = Conversation::new(context.output, session, contact);
        chat.begin(args.last).await?;
        chat.talk(&mut events).await?;
        chat.finish(&mut events, args.wait).await
    })
    .await
}

struct Conversation<'a> {
    output: Output,
    session: &'a Session,
    contact: ContactId,
    name: String,
    /// Letters shown, by the number behind `#`.
    shown: Vec<LetterId>,
    /// Own letters of this run that are on their way.
    open: Vec<LetterId>,
    failed: bool,
}

impl<'a> Conversation<'a> {
    fn new(output: Output, session: &'a Session, contact: ContactInfo) -> Self {
        let name = clean_line(&contact.name);
        let (shown, open) = (Vec::new(), Vec::new());
        Self { output, session, contact: contact.contact, name, shown, open, failed: false }
    }

    /// Shows the end of the conversation so far.
    async fn begin(&mut self, last: u32) -> Result<(), Failure> {
        self.output.talk(&format!("Talking with {}. /help shows the commands, Ctrl-D ends.", self.name));
        if last == 0 {
            return Ok(());
        }
        let contact = waypost_node::method::ContactRef(self.contact.to_string());
        let page =
            self.session.call::<LettersHistory>(HistoryParams { contact, before: None, limit: Some(last) }).await?;
        for entry in &page.entries {
            self.show(entry)?;
        }
        self.mark_read(page.entries.iter().filter(|entry| entry.direction == "in" && entry.state != "read")).await
    }

    /// Lines in, letters out, and everything that happens meanwhile.
    async fn talk(&mut self, events: &mut SessionEvents) -> Result<(), Failure> {
        let mut lines: Lines<BufReader<Stdin>> = BufReader::new(stdin()).lines();
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => if !self.take(&line).await? {
                        return Ok(());
                    },
                    Ok(None) => return Ok(()),
                    Err(error) => return Err(Failure::bad_input(format!("cannot read standard input: {error}"))),
                },
                event = events.next() => match event {
                    Some(event) => self.happen(event).await?,
                    None => return Err(Failure::new(waypost_core::ErrorKind::Unreachable, "the node stopped")),
                },
            }
        }
    }

    /// Waits for the delivery of what was written.
    async fn finish(&mut self, events: &mut SessionEvents, secs: u32) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(secs.into());
        while secs > 0 && !self.open.is_empty() {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.happen(event).await?,
                    None => break,
                },
                () = sleep_until(deadline) => break,
            }
        }
        if self.failed {
            return Err(Failure::Told(Exit::Failed));
        }
        match (self.open.len(), secs) {
            (0, _) | (_, 0) => Ok(()),
            (count, _) => {
                let letters = if count == 1 { "1 letter is".to_owned() } else { format!("{count} letters are") };
                self.output
                    .talk(&format!("{letters} not delivered yet; on disk, and sent when {} is reached.", self.name));
                Err(Failure::Told(Exit::Unreachable))
            }
        }
    }

    /// One typed line. Gives false at the end.
    async fn take(&mut self, line: &str) -> Result<bool, Failure> {
        let body = match Line::parse(line, &self.shown) {
            Ok(Line::Nothing) => return Ok(true),
            Ok(Line::Quit) => return Ok(false),
            Ok(Line::Help) => {
                self.output.talk(HELP);
                return Ok(true);
            }
            Ok(Line::Letter(body)) => body,
            Err(reason) => {
                self.output.talk(&reason);
                return Ok(true);
            }
        };
        let is_shown = matches!(body, Body::Text { .. } | Body::Reply { .. });
        let to = waypost_node::method::ContactRef(self.contact.to_string());
        let sent = self.session.call::<LettersSend>(SendLetter { to, id: None, body }).await?;
        if !is_final(&sent.state) {
            self.open.push(sent.id);
        }
        if is_shown {
            let number = self.number(sent.id);
            self.state(number, sent.id, &sent.state)?;
        }
        Ok(true)
    }

    async fn happen(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Letter { entry, new } if entry.contact == self.contact => {
                if entry.direction == "in" || !new {
                    self.show(&entry)?;
                }
                if entry.direction == "in" && entry.state != "read" {
                    self.mark_read(std::iter::once(&entry)).await?;
                }
            }
            Event::State { contact, letter, state, .. } if contact == self.contact => {
                self.follow(letter, &state).await?;
            }
            Event::Presence { contact, online } if contact == self.contact => {
                self.note(&format!("{} is {}", self.name, if online { "online" } else { "offline" }))?;
            }
            Event::Warning { contact, text, .. } if contact.is_none_or(|contact| contact == self.contact) => {
                self.note(&format!("WARNING: {}", clean_line(&text)))?;
            }
            Event::Missed { .. } => {
                for letter in self.open.clone() {
                    if let Some(entry) = self.session.own_letter(self.contact, letter).await? {
                        self.follow(letter, &entry.state).await?;
                    }
                }
                self.note("some events were missed; `waypost history` shows all letters")?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn follow(&mut self, letter: LetterId, state: &str) -> Result<(), Failure> {
        let was_open = self.open.contains(&letter);
        if is_final(state) {
            self.open.retain(|open| *open != letter);
            self.failed |= was_open && state == "failed";
        }
        match self.shown.iter().position(|shown| *shown == letter) {
            Some(index) => self.state(index + 1, letter, state),
            None => Ok(()),
        }
    }

    /// The number by which commands name a letter.
    fn number(&mut self, letter: LetterId) -> usize {
        match self.shown.iter().position(|shown| *shown == letter) {
            Some(index) => index + 1,
            None => {
                self.shown.push(letter);
                self.shown.len()
            }
        }
    }

    fn show(&mut self, entry: &Entry) -> Result<(), Failure> {
        let number = self.number(entry.id);
        if self.output.is_json() {
            return self.output.json(&serde_json::json!({ "letter": entry, "number": number }));
        }
        let line = LetterLine { output: self.output, whole_ids: false, name_width: 2 };
        self.output.text(&format!("#{number:<3} {}", line.text(entry)))
    }

    fn state(&self, number: usize, letter: LetterId, state: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.json(&serde_json::json!({ "state": state, "id": letter, "number": number }));
        }
        self.output.text(&self.output.dim(&format!("#{number:<3} {}", clean_line(state))))
    }

    fn note(&self, text: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.json(&serde_json::json!({ "note": text }));
        }
        let now = time_of_day(now());
        self.output.text(&self.output.dim(&format!("     {now} {text}")))
    }

    async fn mark_read(&self, entries: impl Iterator<Item = &Entry>) -> Result<(), Failure> {
        let letters: Vec<LetterId> = entries.map(|entry| entry.id).collect();
        if letters.is_empty() {
            return Ok(());
        }
        let contact = waypost_node::method::ContactRef(self.contact.to_string());
        self.session.call::<LettersRead>(ReadLetters { contact, letters: Some(letters) }).await.map(drop)
    }
}

fn now() -> Wall {
    super::init::now()
}
