-- Who may come into the panel: the tables of schemas/sqlite. No secret is kept: a password is an
-- Argon2 hash (a PHC string), a session and a token are SHA-256 (hexadecimal) of 256 random bits.
-- Times are microseconds since the epoch. Each statement can run again.

-- People. One who comes through the identity provider has `subject` (issuer and subject) and no
-- password. A row of `users` is also the lock of that person's sessions.
CREATE TABLE IF NOT EXISTS users (
    name          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL PRIMARY KEY,
    role          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    password_hash VARCHAR(300) CHARACTER SET ascii COLLATE ascii_nopad_bin NULL,
    subject       VARCHAR(700) NULL UNIQUE,
    disabled      BIGINT       NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    must_change   BIGINT       NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)),
    created       BIGINT       NOT NULL,
    last_login    BIGINT       NULL,
    CONSTRAINT users_role CHECK (role IN ('viewer', 'operator', 'admin')),
    CONSTRAINT users_of_one_kind CHECK ((password_hash IS NULL) <> (subject IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Who is logged in.
CREATE TABLE IF NOT EXISTS sessions (
    hash      CHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL PRIMARY KEY,
    user_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    KEY sessions_of_user (user_name, last_used),
    CONSTRAINT sessions_user FOREIGN KEY (user_name) REFERENCES users (name) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Programs that may come in, until somebody takes the row away or it expires.
CREATE TABLE IF NOT EXISTS api_tokens (
    id         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL PRIMARY KEY,
    name       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL UNIQUE,
    role       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    created_by VARCHAR(200) NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NULL,
    last_used  BIGINT NULL,
    CONSTRAINT api_tokens_role CHECK (role IN ('viewer', 'operator', 'admin'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- One change of who may come in at a time: it counts and looks at others before it writes.
INSERT IGNORE INTO counters (name, value) VALUES ('access', 0);
