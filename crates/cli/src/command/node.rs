//! `waypost id`, `status`, `doctor`, `stop`: the node itself.

use crate::args::IdArgs;
use crate::command::server::{not_running, test_servers};
use crate::command::with_session;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Output, Table, clean_line, day_and_time, duration};
use crate::session::{Network, daemon};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use waypost_core::ErrorKind;
use waypost_node::method::{
    Check, IdentityInfo, IdentityRename, IdentityRotate, IdentityShow, NodeDoctor, NodeStatus, NodeStop, NodeWarnings,
    Nothing, Rename, ServerTest, Status, WarningInfo,
};

/// How long a stopping node may take.
const STOP_TIME: Duration = Duration::from_secs(30);

/// Shows who this node is, changed first if asked.
pub(crate) async fn id(context: &Context, args: IdArgs) -> Result<(), Failure> {
    let identity = with_session(context, Network::Off, async |session| {
        if let Some(name) = args.rename {
            session.call::<IdentityRename>(Rename { name }).await?;
        }
        if args.rotate {
            session.call::<IdentityRotate>(Nothing {}).await?;
        }
        session.call::<IdentityShow>(Nothing {}).await
    });
    context.output.result(&identity.await?, identity_text)
}

fn identity_text(identity: &IdentityInfo) -> String {
    let mut table = Table::plain();
    table.row(["Name:".into(), clean_line(&identity.name)]);
    table.row(["Id:".into(), identity.contact.to_string()]);
    table.row(["Transport key:".into(), clean_line(&identity.noise_key)]);
    table.row(["Version:".into(), format!("{} ({})", identity.version, day_and_time(identity.created))]);
    if identity.addresses.is_empty() {
        table.row(["Reachable at:".into(), "nowhere; set sremp.advertise to HOST:PORT".into()]);
    }
    for address in &identity.addresses {
        table.row(["Reachable at:".into(), clean_line(&address.to_string())]);
    }
    table.text()
}

/// Shows how the running node is.
pub(crate) async fn status(context: &Context) -> Result<(), Failure> {
    context.check_initialised()?;
    let Some(client) = daemon(context).await? else { return Err(not_running(context)) };
    let status = client.call::<NodeStatus>(&Nothing {}).await?;
    let warnings = client.call::<NodeWarnings>(&Nothing {}).await?;
    let output = context.output;
    output.result(&status, |status| status_text(status, &warnings, output))
}

fn status_text(status: &Status, warnings: &[WarningInfo], output: Output) -> String {
    let mut table = Table::plain();
    table.row(["Name:".into(), clean_line(&status.identity.name)]);
    table.row([
        "Running for:".into(),
        format!("{} (version {})", duration(status.uptime_ms), clean_line(&status.version)),
    ]);
    table.row(["Contacts:".into(), format!("{}, {} waiting to be accepted", status.contacts, status.requests)]);
    table.row(["Letters:".into(), format!("{} unread, {} waiting to be sent", status.unread, status.outbox)]);
    for wire in &status.wires {
        let state = if wire.enabled {
            let at = if wire.listening.is_empty() { "nowhere".to_owned() } else { wire.listening.join(", ") };
            format!(
                "listening on {}, {} connected, {} B out, {} B in",
                clean_line(&at),
                wire.connected.len(),
                wire.bytes_out,
                wire.bytes_in
            )
        } else {
            "off".to_owned()
        };
        table.row([format!("{}:", wire.wire), state]);
        for (reason, count) in &wire.dropped {
            table.row([String::new(), format!("{count} dropped: {}", clean_line(reason))]);
        }
    }
    let mut text = table.text();
    for warning in warnings.iter().take(5) {
        let line = format!("Warning, {}: {}", day_and_time(warning.at), clean_line(&warning.text));
        text.push_str(&output.alarm(&line));
        text.push('\n');
    }
    text
}

/// Stops the running node, and waits until it has given the folder back.
pub(crate) async fn stop(context: &Context) -> Result<(), Failure> {
    let Some(client) = daemon(context).await? else { return Err(not_running(context)) };
    let done = client.call::<NodeStop>(&Nothing {}).await?;
    let deadline = Instant::now() + STOP_TIME;
    while let Err(waypost_node::Error::Conflict(_)) = context.home.lock() {
        if Instant::now() > deadline {
            return Err(Failure::new(ErrorKind::Unreachable, "the node does not stop").or_hint("end its process"));
        }
        sleep(Duration::from_millis(25)).await;
    }
    context.output.result(&done, |_| "stopped\n".to_owned())
}

/// Looks for what keeps letters from flowing: in the folder, and in the running node.
pub(crate) async fn doctor(context: &Context) -> Result<(), Failure> {
    let mut checks = folder_checks(context);
    match daemon(context).await {
        Ok(Some(client)) => {
            checks.push(check("daemon", "ok", "the node is running", None));
            checks.extend(client.call::<NodeDoctor>(&Nothing {}).await?);
            checks.extend(test_servers(&client).await?.iter().map(server_check));
        }
        Ok(None) => {
            checks.push(check(
                "daemon",
                "warning",
                "no node is running: nothing can come in",
                Some("run `waypost up`"),
            ));
        }
        Err(failure) => {
            let text = match failure {
                Failure::Error { message, .. } => message,
                _ => "no answer".into(),
            };
            checks.push(check("daemon", "problem", &text, Some("run this as the user that runs `waypost up`")));
        }
    }
    let output = context.output;
    output.result(&checks, |checks| checks_text(checks, output))?;
    if checks.iter().any(|check| check.result == "problem") { Err(Failure::Told(Exit::Failed)) } else { Ok(()) }
}

fn server_check(test: &ServerTest) -> Check {
    let (result, text) = match test.took_ms {
        Some(took) => ("ok", format!("{} (answered in {took} ms)", test.text)),
        None => ("problem", test.text.clone()),
    };
    check(&format!("server {}", test.server), result, &text, test.advice.as_deref())
}

fn checks_text(checks: &[Check], output: Output) -> String {
    let mut text = String::new();
    for check in checks {
        let mark = match check.result.as_str() {
            "ok" => output.dim("ok     "),
            "warning" => output.bold("warning"),
            _ => output.alarm("problem"),
        };
        text.push_str(&format!("{mark}  {}: {}\n", clean_line(&check.name), clean_line(&check.text)));
        if let Some(advice) = &check.advice {
            text.push_str(&format!("         -> {}\n", clean_line(advice)));
        }
    }
    text
}

fn folder_checks(context: &Context) -> Vec<Check> {
    let home = &context.home;
    let shown = home.folder().display();
    let mut checks = Vec::new();
    match std::fs::metadata(home.folder()) {
        Err(_) => checks.push(check(
            "data folder",
            "problem",
            &format!("{shown} does not exist"),
            Some("run `waypost init`, or name the folder with --home DIR"),
        )),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let advice = format!("chmod 700 '{shown}'");
            checks.push(check("data folder", "problem", &format!("others can read {shown}"), Some(&advice)));
        }
        Ok(_) => checks.push(check("data folder", "ok", &shown.to_string(), None)),
    }
    if home.is_initialised() {
        checks.push(check("identity", "ok", "it is there", None));
    } else {
        checks.push(check("identity", "problem", "there is none", Some("run `waypost init`")));
    }
    match waypost_node::Config::load(&home.config()) {
        Ok(_) => checks.push(check("settings", "ok", "they are valid", None)),
        Err(error) => checks.push(check("settings", "problem", &error.to_string(), Some("correct config.toml"))),
    }
    checks
}

fn check(name: &str, result: &str, text: &str, advice: Option<&str>) -> Check {
    Check { name: name.into(), result: result.into(), text: text.into(), advice: advice.map(str::to_owned) }
}
