//! Links of mode raw: one, with a block that is entered in the ledger before anything is opened. Framelink profile,
//! Ledger of raw blocks.

use super::connect::{accept, dial, listen as open};
use super::crossing::Crossing;
use super::ending;
use super::event::{Event, Teller};
use super::listen::stopped;
use super::plan::RawBlock;
use crate::failure::Failure;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use waypost_core::SrempAddress;
use waypost_framelink::{Block, MacInit, Role, Settings};
use waypost_net::framelink::{Link, take_block};

/// A block that is used up, whatever happens from here on.
struct Taken {
    block: Block,
    role: Role,
    settings: Settings,
    tell: Teller,
}

/// Accepts one connection.
pub(super) async fn listen(
    tell: Teller,
    address: SocketAddr,
    target: Option<SrempAddress>,
    block: RawBlock,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let taken = take(tell, &block, settings)?;
    let crossed = async {
        let listener = open(tell, address)?;
        let (stream, from) = accept(&listener, stop).await.ok_or_else(stopped)?;
        drop(listener);
        match target {
            Some(target) => {
                let local = dial(&target, stop).await?;
                taken.link(stream, from.to_string()).await?.alone(local, stop).await
            }
            None => taken.link(stream, from.to_string()).await?.on_stdio(stop).await,
        }
    };
    used_up(tell, crossed.await)
}

/// Makes one connection.
pub(super) async fn connect(
    tell: Teller,
    to: &SrempAddress,
    local: Option<SocketAddr>,
    block: RawBlock,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let taken = take(tell, &block, settings)?;
    let crossed = async {
        match local {
            Some(address) => {
                let listener = open(tell, address)?;
                let (local, _) = accept(&listener, stop).await.ok_or_else(stopped)?;
                drop(listener);
                taken.link(dial(to, stop).await?, to.to_string()).await?.alone(local, stop).await
            }
            None => taken.link(dial(to, stop).await?, to.to_string()).await?.on_stdio(stop).await,
        }
    };
    used_up(tell, crossed.await)
}

fn take(tell: Teller, block: &RawBlock, settings: Settings) -> Result<Taken, Failure> {
    let role = block.role;
    tell.tell(&Event::Role { role: role.name() });
    if settings.framing.mac_init == MacInit::Standard {
        let message = "with --mac-init standard anybody who knows what is sent can change it on the way";
        tell.tell(&Event::Warning { message });
    }
    let taken = take_block(&block.file, role, &block.state, block.perms).map_err(ending::key_file)?;
    Ok(Taken { block: taken, role, settings, tell })
}

impl Taken {
    async fn link(self, stream: TcpStream, peer: String) -> Result<Crossing, Failure> {
        let failed = |error| ending::network(&error);
        let link = Link::raw(stream, &self.block, self.role, self.settings).map_err(failed)?;
        let opened = link.opened().await.map_err(failed)?;
        Ok(Crossing::open(self.tell, 1, link, opened, peer))
    }
}

/// Says what a failure costs.
fn used_up(tell: Teller, result: Result<(), Failure>) -> Result<(), Failure> {
    if result.is_err() {
        tell.tell(&Event::Warning { message: "this block counts as used now; make a new one for the next try" });
    }
    result
}
