-- Who may come into the panel. No secret is kept: a password is an Argon2 hash (a PHC string), a
-- session and a token are SHA-256 (hexadecimal) of 256 random bits.
-- Times are microseconds since the epoch.

-- People. One who comes through the identity provider has `subject` (issuer and subject) and no
-- password.
CREATE TABLE users (
    name          TEXT    PRIMARY KEY,
    role          TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password_hash TEXT,
    subject       TEXT    UNIQUE,
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    must_change   INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)),
    created       INTEGER NOT NULL,
    last_login    INTEGER,
    CHECK ((password_hash IS NULL) <> (subject IS NULL))
) STRICT, WITHOUT ROWID;

-- Who is logged in.
CREATE TABLE sessions (
    hash      TEXT    PRIMARY KEY CHECK (length(hash) = 64),
    user_name TEXT    NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user_name, last_used);

-- Programs that may come in, until somebody takes the row away or it expires.
CREATE TABLE api_tokens (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    hash       TEXT    NOT NULL CHECK (length(hash) = 64),
    created_by TEXT    NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER,
    last_used  INTEGER
) STRICT, WITHOUT ROWID;
