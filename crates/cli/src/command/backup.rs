//! `waypost export` and `waypost import`.

use crate::args::{Export, Import};
use crate::command::with_session;
use crate::context::Context;
use crate::failure::Failure;
use crate::secret::{self, COST, Purpose};
use crate::session::Network;
use waypost_core::ErrorKind;
use waypost_node::method::{BackupExport, ExportParams};
use waypost_node::setup;

/// Writes a backup.
pub(crate) async fn export(context: &Context, args: &Export) -> Result<(), Failure> {
    context.check_initialised()?;
    let path = std::path::absolute(&args.file).map_err(|error| Failure::file("write", &args.file, &error))?;
    if path.exists() {
        let message = format!("{} exists already", path.display());
        return Err(Failure::new(ErrorKind::Conflict, message).or_hint("choose another name"));
    }
    let path = path
        .to_str()
        .ok_or_else(|| Failure::bad_input("the file's name is not UTF-8").or_hint("choose another name"))?
        .to_owned();
    let passphrase = secret::fresh(args.backup_passphrase_file.as_deref(), Purpose::BACKUP)?;
    let params = ExportParams { path, passphrase: passphrase.to_string() };
    let made = with_session(context, Network::Off, async |session| session.call::<BackupExport>(params).await).await?;
    context.output.result(&made, |made| format!("{} letters in {} ({} bytes)", made.letters, made.path, made.bytes))
}

/// Restores a backup.
pub(crate) fn import(context: &Context, args: &Import) -> Result<(), Failure> {
    if context.home.is_initialised() {
        let message = format!("there is an identity in {} already", context.home.folder().display());
        return Err(Failure::new(ErrorKind::Conflict, message).or_hint("choose an empty folder with --home DIR"));
    }
    if !args.file.exists() {
        let message = format!("{} does not exist", args.file.display());
        return Err(Failure::new(ErrorKind::NotFound, message));
    }
    let backup = secret::passphrase(&secret::existing(args.backup_passphrase_file.as_deref(), Purpose::BACKUP)?)?;
    let fresh = context.secrets.fresh(args.no_passphrase)?;
    let restored = setup::import(&context.home, &args.file, &backup, fresh, COST, &mut rand::rng())?;
    let folder = context.home.folder().display().to_string();
    let value = serde_json::json!({ "contact": restored.contact, "home": folder });
    context.output.result(&value, |_| format!("Your id:      {}\nData folder:  {folder}", restored.contact))?;
    context.output.talk("Connections with contacts are agreed on anew with the next letters. Next: `waypost up`.");
    Ok(())
}
