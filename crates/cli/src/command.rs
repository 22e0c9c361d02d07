//! One module a command, or a family of them.

mod api;
mod backup;
mod card;
mod chat;
mod config;
mod contact;
mod demo;
mod init;
mod letters;
mod link;
mod manual;
mod netcheck;
mod node;
mod send;
mod serve;
mod server;
mod up;

use crate::args::{Command, Link};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Network, Session};
use std::time::Duration;
use waypost_core::ErrorKind;

/// Does what the command says.
pub(crate) fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init::run(context, &args),
        Command::Import(args) => backup::import(context, &args),
        Command::Config(command) => config::run(context, &command),
        Command::Completions { shell } => manual::completions(context.output, shell),
        Command::Man { dir } => manual::man(context.output, dir.as_deref()),
        Command::Api(args) if args.openrpc => context.output.json(&waypost_api::document()),
        other => with_runtime(run_async(context, other)),
    }
}

/// `link`, which needs no data folder.
pub(crate) fn link(output: Output, command: Link) -> Result<(), Failure> {
    match command {
        Link::Keygen(args) => link::keygen(output, &args),
        Link::Genblock(args) => link::genblock(output, &args),
        other => with_runtime(link::run(output, other)),
    }
}

async fn run_async(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => up::run(context, args).await,
        Command::Stop => node::stop(context).await,
        Command::Id(args) => node::id(context, args).await,
        Command::Card(args) => card::run(context, &args).await,
        Command::Contact(command) => contact::run(context, command).await,
        Command::Send(args) => send::run(context, args).await,
        Command::Inbox(args) => letters::inbox(context, &args).await,
        Command::History(args) => letters::history(context, args).await,
        Command::Search(args) => letters::search(context, args).await,
        Command::Read(args) => letters::read(context, args).await,
        Command::Chat(args) => chat::run(context, args).await,
        Command::Trace(args) => letters::trace(context, &args).await,
        Command::Status => node::status(context).await,
        Command::Doctor => node::doctor(context).await,
        Command::Netcheck => netcheck::run(context).await,
        Command::Ping(args) => netcheck::ping(context, args).await,
        Command::Server(command) => server::run(context, command).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Export(args) => backup::export(context, &args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::Speak(speak) => crate::speak::run(speak).await,
        Command::Api(_) => api::stdio(context).await,
        Command::Init(_)
        | Command::Import(_)
        | Command::Config(_)
        | Command::Link(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}

fn with_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot start: {error}")))?;
    let result = runtime.block_on(work);
    // A thread that still reads standard input would keep the process for ever.
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

/// Works with the folder's node, and lets it stop cleanly whatever became of the work.
async fn with_session<T>(
    context: &Context,
    network: Network,
    work: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let session = Session::open(context, network).await?;
    let result = work(&session).await;
    session.close().await;
    result
}
