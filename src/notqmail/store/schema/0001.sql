-- The queue. States, transitions and crashes: docs/explanation/queue-states.md.
-- Times are wall-clock seconds since 1970.

CREATE TABLE message (
    id TEXT NOT NULL UNIQUE,       -- the queue id
    born REAL NOT NULL,
    sender_local TEXT,             -- both NULL: the null reverse-path
    sender_domain TEXT,
    options TEXT,                  -- JSON: envid, ret, smtputf8, requiretls, body, login; NULL: none is set
    edits BLOB,                    -- MessagePack: (kind, field, index) of each header edit; NULL: none
    size INTEGER NOT NULL,         -- octets of content
    file INTEGER NOT NULL,         -- 1: content is the file blobs/…/ID, 0: it is the next column
    content BLOB                   -- last, so that reading the rest does not touch it
);
CREATE INDEX message_file ON message (id) WHERE file = 1;

-- The recipients of one message for one destination: what is claimed, tried and settled together.
CREATE TABLE entry (
    id TEXT NOT NULL,
    destination TEXT NOT NULL,     -- Hop.destination
    state INTEGER NOT NULL,        -- 0 waiting, 1 active (leased to the running server), 2 held
    token INTEGER NOT NULL,        -- grows with every claim
    due REAL NOT NULL,
    attempts INTEGER NOT NULL,     -- settled without finishing
    recovered INTEGER NOT NULL,    -- 1: a crash found it active once
    delay_told INTEGER NOT NULL,
    pending INTEGER NOT NULL,      -- how many recipients
    PRIMARY KEY (id, destination)
) WITHOUT ROWID;
-- Partial: what is committed, delivered at once and deleted never touches it.
CREATE INDEX entry_due ON entry (destination, due, id) WHERE state = 0;

-- One row for each destination with waiting entries: the earliest due of them. Claims start here, so that a
-- dead destination costs them one row however much waits for it.
CREATE TABLE destination (
    name TEXT PRIMARY KEY,
    due REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX destination_due ON destination (due, name);

CREATE TABLE recipient (
    id TEXT NOT NULL,
    destination TEXT NOT NULL,
    n INTEGER NOT NULL,            -- position in the envelope
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    notify INTEGER,                -- RFC 3461 section 4.1 as bits; NULL: not given
    orcpt TEXT,
    folder TEXT,                   -- the mark: NULL for none
    reason TEXT,
    last TEXT,                     -- JSON: reply, remote MTA and time of the last attempt
    PRIMARY KEY (id, destination, n)
) WITHOUT ROWID;
