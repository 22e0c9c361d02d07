//! `waypost api --stdio`: the API for a program that starts this one.

use crate::context::Context;
use crate::failure::Failure;
use crate::session::Holder;
use tokio::io::{self, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use waypost_api::serve_lines;
use waypost_core::ErrorKind;
use waypost_node::Node;

/// Answers requests until standard input ends: passes them on to the running node, or runs one meanwhile.
pub(crate) async fn stdio(context: &Context) -> Result<(), Failure> {
    context.check_initialised()?;
    let lock = match Holder::find(context).await? {
        Holder::Daemon(_) => return pass_on(context).await,
        Holder::Us(lock) => lock,
    };
    let keys = context.secrets.unlock(&context.home)?;
    let node = Node::start(&context.home, lock, keys, context.config()?).await?;
    let stop = CancellationToken::new();
    let served = tokio::select! {
        served = serve_lines(node.clone(), io::stdin(), io::stdout(), stop.clone()) => served.map_err(Failure::from),
        () = node.stopped() => Ok(()),
    };
    node.stop();
    node.stopped().await;
    served
}

async fn pass_on(context: &Context) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Pipe,
        _ => Failure::new(ErrorKind::Unreachable, format!("the connection to the node broke: {error}")),
    };
    let (mut from_node, mut to_node) = UnixStream::connect(context.home.socket()).await.map_err(failed)?.into_split();
    let asking = async move {
        io::copy(&mut io::stdin(), &mut to_node).await?;
        to_node.shutdown().await
    };
    let mut stdout = io::stdout();
    let answering = async {
        io::copy(&mut from_node, &mut stdout).await?;
        stdout.flush().await
    };
    // The node ends the connection when it has answered all; a program that only listens keeps it open.
    tokio::pin!(asking, answering);
    tokio::select! {
        answered = &mut answering => answered.map_err(failed),
        asked = &mut asking => {
            asked.map_err(failed)?;
            answering.await.map_err(failed)
        }
    }
}
