//! `waypost card`: what others need to write to this node.

use crate::args::{CardArgs, Picture};
use crate::command::with_session;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, Qr, Table, day_and_time};
use crate::session::Network;
use waypost_node::method::{CardInvites, CardParams, CardShow, Nothing};

/// Prints the card, in the forms asked for.
pub(crate) async fn run(context: &Context, args: &CardArgs) -> Result<(), Failure> {
    if args.invites {
        return list_invites(context).await;
    }
    let params = CardParams { invite: args.invite };
    let card = with_session(context, Network::Off, async |session| session.call::<CardShow>(params).await).await?;
    let output = context.output;
    let text = if args.sremp { &card.sremp } else { &card.link };
    draw(output, &args.picture, text)?;
    output.result(&card, |_| text.clone())?;
    if card.card.addresses.is_empty() {
        output.talk(
            "This card has no address: others cannot reach you by it alone. Tell Waypost how they do with\n\
             `waypost config set sremp.advertise HOST:PORT`.",
        );
    }
    if let Some(expires) = card.invite_expires {
        output.talk(&format!(
            "Whoever holds this card can write to you without asking. It works once, until {}.",
            day_and_time(expires)
        ));
    }
    Ok(())
}

async fn list_invites(context: &Context) -> Result<(), Failure> {
    let invites = with_session(context, Network::Off, async |session| session.call::<CardInvites>(Nothing {}).await);
    let invites = invites.await?;
    if invites.is_empty() {
        context.output.talk("no invite is open; `waypost card --invite` makes one");
    }
    context.output.result(&invites, |invites| match invites.as_slice() {
        [] => String::new(),
        invites => {
            let mut table = Table::new(["made", "ends"]);
            for invite in invites {
                table.row([day_and_time(invite.created), day_and_time(invite.expires)]);
            }
            table.text()
        }
    })
}

/// Draws a text as a QR code wherever it was asked for.
pub(super) fn draw(output: Output, picture: &Picture, text: &str) -> Result<(), Failure> {
    if !picture.qr && picture.png.is_none() && picture.svg.is_none() {
        return Ok(());
    }
    let code = Qr::new(text)?;
    if let Some(path) = &picture.png {
        code.write_png(path)?;
    }
    if let Some(path) = &picture.svg {
        code.write_svg(path)?;
    }
    if picture.qr && !output.is_json() {
        output.text(&code.terminal(output.has_color()))?;
    }
    Ok(())
}
