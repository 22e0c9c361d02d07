-- Everything of one person but the search. Times are Unix milliseconds; ids and keys are blobs of their size.

-- Everybody this node ever heard of: a small number for a long id. History can outlive the contact.
CREATE TABLE person (
    num INTEGER PRIMARY KEY,
    id  BLOB NOT NULL UNIQUE CHECK (length(id) = 32)
) STRICT;

CREATE TABLE contact (
    person        INTEGER PRIMARY KEY REFERENCES person (num),
    name          TEXT NOT NULL,
    folded        TEXT NOT NULL,
    status        INTEGER NOT NULL CHECK (status BETWEEN 0 AND 2),
    card          TEXT,
    addresses     TEXT NOT NULL,
    added         INTEGER NOT NULL,
    read_receipts INTEGER CHECK (read_receipts IN (0, 1)),
    muted         INTEGER NOT NULL CHECK (muted IN (0, 1)),
    last_seen     INTEGER,
    invite_token  BLOB CHECK (length(invite_token) = 16)
) STRICT;
CREATE INDEX contact_by_folded ON contact (folded);
CREATE INDEX contact_by_status ON contact (status);

-- role: 0 an entry of the history, 1 edit, 2 deletion, 3 reaction, 4 other letters that are no entries.
-- target: the letter an edit, a deletion or a reaction is about.
-- edited, deleted, reacted: what came of those, so that reading needs no search; reacted only says where to look.
CREATE TABLE letter (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    person       INTEGER NOT NULL REFERENCES person (num),
    direction    INTEGER NOT NULL CHECK (direction IN (0, 1)),
    id           BLOB NOT NULL CHECK (length(id) = 16),
    sent         INTEGER NOT NULL,
    stored       INTEGER NOT NULL,
    role         INTEGER NOT NULL CHECK (role BETWEEN 0 AND 4),
    body         TEXT NOT NULL,
    target       BLOB CHECK (length(target) = 16),
    edited       TEXT,
    deleted      INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    reacted      INTEGER NOT NULL DEFAULT 0 CHECK (reacted IN (0, 1)),
    state        INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    reason       TEXT,
    protection   INTEGER NOT NULL,
    wire         TEXT,
    read         INTEGER,
    from_request INTEGER NOT NULL CHECK (from_request IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX letter_by_id ON letter (id, person, direction);
CREATE INDEX letter_by_person ON letter (person, role, seq);
CREATE INDEX letter_by_target ON letter (target, person) WHERE target IS NOT NULL;
CREATE INDEX letter_unread ON letter (person, seq) WHERE direction = 0 AND role = 0 AND read IS NULL;

CREATE TABLE outbox (
    letter   INTEGER PRIMARY KEY REFERENCES letter (seq) ON DELETE CASCADE,
    person   INTEGER NOT NULL REFERENCES person (num),
    attempts INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    created  INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_by_time ON outbox (next_try, letter);
CREATE INDEX outbox_by_person ON outbox (person, letter);

CREATE TABLE route (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    letter     INTEGER NOT NULL REFERENCES letter (seq) ON DELETE CASCADE,
    wire       TEXT NOT NULL,
    via        TEXT NOT NULL,
    started    INTEGER NOT NULL,
    ended      INTEGER,
    outcome    TEXT,
    protection INTEGER NOT NULL
) STRICT;
CREATE INDEX route_by_letter ON route (letter, id);

CREATE TABLE trace (
    letter INTEGER NOT NULL REFERENCES letter (seq) ON DELETE CASCADE,
    n      INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    what   TEXT NOT NULL,
    route  INTEGER,
    PRIMARY KEY (letter, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
    hash    BLOB PRIMARY KEY CHECK (length(hash) = 32),
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    note    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE warning (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER REFERENCES person (num),
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    text   TEXT NOT NULL,
    seen   INTEGER NOT NULL CHECK (seen IN (0, 1))
) STRICT;
CREATE INDEX warning_by_person ON warning (person, kind);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- State of the protocols: opaque here.
CREATE TABLE record (
    space TEXT NOT NULL,
    key   BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;
