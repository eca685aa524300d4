//! Who may come into the panel.

/// Whether the panel asks who somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// It does not: everybody who reaches it is an admin. On a loopback address only.
    #[default]
    Open,
    /// It does: a session or a token, whose role decides.
    Login,
}
