//! Before a panel with logins starts: somebody who can log in, and a token for this machine's commands.

use anyhow::Context;
use penstock::accounts::Accounts;
use penstock::settings::{AccessMode, PanelSettings};
use penstock_panel::access::{FirstAdmin, first_admin, machine_token};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The token's name in the list of tokens and in the audit.
const MACHINE: &str = "up";

/// Lets the first ones in. Called before the panel starts, at each start; an open panel needs none.
///
/// `token_file`: where the commands of this machine find an admin's token, a new one at each start.
///
/// Errors: the ledger does not answer, or the file cannot be written.
pub async fn prepare(
    accounts: &dyn Accounts,
    settings: &PanelSettings,
    token_file: Option<&Path>,
) -> anyhow::Result<Option<FirstAdmin>> {
    if settings.access == AccessMode::Open {
        // One of an earlier start would be sent for nothing.
        if let Some(file) = token_file
            && let Err(error) = fs::remove_file(file)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %file.display(), "a token that is not needed any more could not be removed");
        }
        return Ok(None);
    }
    if let Some(file) = token_file {
        let token = machine_token(accounts, MACHINE).await?;
        write_private(file, &token).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(first_admin(accounts).await?)
}

/// Tells the first admin's password, on stdout, this once. `penstock up` has it among its first lines.
#[cfg(feature = "cluster")]
pub fn tell(admin: &FirstAdmin) {
    if let Err(error) = crate::output::line(first_login(admin)) {
        tracing::error!(%error, "the first admin's password could not be printed; remove the user and start again");
    }
}

/// The lines about the first admin.
pub fn first_login(admin: &FirstAdmin) -> String {
    format!(
        "First login: user {}, one-time password {} (shown only now, to be changed at the first login)",
        admin.name, admin.one_time_password
    )
}

/// For its owner alone, and there in whole or not at all.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let aside = file.with_extension("token.new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    writeln!(out, "{text}")?;
    out.sync_all()?;
    fs::rename(&aside, file)
}
