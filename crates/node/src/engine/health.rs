//! How the node is, what could keep letters from flowing, and what to do about it.

use super::Engine;
use crate::Error;
use crate::method::{Check, Status, WarningInfo};
use waypost_core::Now;
use waypost_store::ContactStatus;

impl Engine {
    pub(super) fn status(&self, now: Now) -> Result<Status, Error> {
        let contacts = self.store.contacts()?;
        let count = |status| contacts.iter().filter(|row| row.status == status).count() as u64;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: self.identity_info()?,
            uptime_ms: u64::try_from(now.mono.since(self.started).as_millis()).unwrap_or(u64::MAX),
            contacts: count(ContactStatus::Contact),
            requests: count(ContactStatus::Request),
            outbox: self.store.outbox_len()?,
            unread: self.store.unread()?.into_iter().map(|(_, count)| count).sum(),
            wires: self.wires.iter().map(|wire| wire.status()).collect(),
        })
    }

    pub(super) fn warnings(&self) -> Result<Vec<WarningInfo>, Error> {
        let rows = self.store.warnings(500)?.into_iter();
        Ok(rows.map(|row| WarningInfo { at: row.at, contact: row.contact, kind: row.kind, text: row.text }).collect())
    }

    pub(super) fn doctor(&self, now: Now) -> Result<Vec<Check>, Error> {
        let mut checks = Vec::new();
        for wire in self.wires.iter().map(|wire| wire.status()) {
            checks.push(match wire.listening.as_slice() {
                [] => Check {
                    name: format!("{} listener", wire.wire),
                    result: "warning".into(),
                    text: "This node does not listen: it can reach others, but others cannot reach it.".into(),
                    advice: Some("Set sremp.listen in the configuration, like [\"0.0.0.0:7300\"].".into()),
                },
                listening => ok(format!("{} listener", wire.wire), format!("Listens at {}.", listening.join(", "))),
            });
        }
        checks.push(match self.own_addresses()?.as_slice() {
            [] => Check {
                name: "addresses".into(),
                result: "warning".into(),
                text: "The card holds no address: contacts cannot reach this node first.".into(),
                advice: Some(
                    "Set sremp.advertise to the host:port at which others reach this machine, or add a relay with \
                     `waypost server add`."
                        .into(),
                ),
            },
            addresses => {
                let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                ok("addresses".into(), format!("The card says: {}.", shown.join(", ")))
            }
        });
        checks.push(self.check_outbox()?);
        checks.push(match self.store.check()?.as_slice() {
            [] => ok("database".into(), "The database is whole.".into()),
            [first, ..] => Check {
                name: "database".into(),
                result: "problem".into(),
                text: format!("The database is damaged: {first}."),
                advice: Some(
                    "Make a copy of the data folder, then restore the last backup with `waypost import`.".into(),
                ),
            },
        });
        let clock = now.wall.as_millis();
        checks.push(match clock > 1_760_000_000_000 {
            true => ok("clock".into(), "The clock is plausible.".into()),
            false => Check {
                name: "clock".into(),
                result: "problem".into(),
                text: "The clock is years behind; session set-up with others will fail.".into(),
                advice: Some("Set the time of this machine.".into()),
            },
        });
        let unseen = self.store.warnings(500)?.into_iter().filter(|warning| !warning.seen).count();
        checks.push(match unseen {
            0 => ok("warnings".into(), "No warnings.".into()),
            count => Check {
                name: "warnings".into(),
                result: "warning".into(),
                text: format!("There are {count} warnings about contacts."),
                advice: Some("Read them with `waypost contact list` and verify those contacts again.".into()),
            },
        });
        Ok(checks)
    }

    fn check_outbox(&self) -> Result<Check, Error> {
        let waiting = self.store.outbox_len()?;
        if waiting == 0 {
            return Ok(ok("outbox".into(), "No letter waits to be sent.".into()));
        }
        let mut unreachable = Vec::new();
        for row in self.store.contacts()? {
            let waits = !self.store.outbox_for(row.id, 1)?.is_empty();
            if waits && !self.is_online(&row.id) {
                unreachable.push((row.name, row.addresses.is_empty()));
            }
        }
        let names: Vec<&str> = unreachable.iter().map(|(name, _)| name.as_str()).collect();
        Ok(Check {
            name: "outbox".into(),
            result: if names.is_empty() { "ok" } else { "warning" }.into(),
            text: match names.is_empty() {
                true => format!("{waiting} letters are on their way."),
                false => format!("{waiting} letters wait; not reachable now: {}.", names.join(", ")),
            },
            advice: unreachable.iter().any(|(_, no_address)| *no_address).then(|| {
                "Some of them have no address here: ask for a new card, or wait until they connect to you.".to_owned()
            }),
        })
    }
}

fn ok(name: String, text: String) -> Check {
    Check { name, result: "ok".into(), text, advice: None }
}
