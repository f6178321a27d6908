-- Sagas: where each of them stands. The row is written before each step is sent and after each outcome, by whoever owns the saga;
-- every write names owner and epoch, so that one who has lost it changes nothing.
CREATE TABLE sagas (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  definition text NOT NULL,
  definition_version integer NOT NULL CHECK (definition_version > 0),
  -- In the order of its bytes, so that ranges of keys mean the same everywhere.
  key text COLLATE "C" NOT NULL,
  status text NOT NULL CHECK (status IN ('RUNNING', 'COMPENSATING', 'COMPLETED', 'FAILED', 'CANCELLED')),
  -- The run, or the undo, that is sent or about to be; and what is to be undone behind it.
  step text,
  undos jsonb NOT NULL DEFAULT '[]',
  attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  claims integer NOT NULL DEFAULT 0 CHECK (claims >= 0),
  may_have_happened boolean NOT NULL DEFAULT false,
  stuck text CHECK (stuck IN ('rejected', 'unavailable', 'crashes')),
  cancel_requested boolean NOT NULL DEFAULT false,
  input jsonb NOT NULL,
  results jsonb NOT NULL DEFAULT '{}',
  failure jsonb,
  traceparent text,
  version integer NOT NULL CHECK (version > 0),
  entries integer NOT NULL DEFAULT 0 CHECK (entries >= 0),
  owner uuid,
  epoch integer NOT NULL DEFAULT 0,
  -- When it is to go on; none where it waits for somebody, or has ended.
  due_at timestamptz,
  deadline_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  CONSTRAINT sagas_by_key UNIQUE (definition, key),
  CONSTRAINT ends_with_its_last_step CHECK (
    (ended_at IS NOT NULL) = (step IS NULL) AND (step IS NULL) = (status IN ('COMPLETED', 'FAILED', 'CANCELLED'))
  ),
  CONSTRAINT an_end_is_the_end CHECK (step IS NOT NULL OR (owner IS NULL AND due_at IS NULL AND undos = '[]')),
  CONSTRAINT goes_back_for_a_reason CHECK ((failure IS NULL) = (status IN ('RUNNING', 'COMPLETED')))
) WITH (fillfactor = 70);

-- A write on the way from step to step changes nothing that these speak of, and so touches none of them.
CREATE INDEX sagas_due ON sagas (definition, definition_version, due_at) WHERE owner IS NULL AND due_at IS NOT NULL;

CREATE INDEX sagas_owned ON sagas (owner) WHERE owner IS NOT NULL;

CREATE INDEX sagas_open ON sagas (id) WHERE ended_at IS NULL;

CREATE INDEX sagas_ended ON sagas (status, id DESC) WHERE ended_at IS NOT NULL;

CREATE INDEX sagas_stuck ON sagas (id) WHERE stuck IS NOT NULL;

-- What came of every attempt. An attempt that is not in here has no outcome yet.
CREATE TABLE saga_journal (
  saga_id uuid NOT NULL REFERENCES sagas (id),
  seq integer NOT NULL CHECK (seq > 0),
  kind text NOT NULL CHECK (kind IN ('run', 'undo')),
  step text NOT NULL,
  attempt integer NOT NULL CHECK (attempt > 0),
  outcome text NOT NULL CHECK (
    outcome IN ('done', 'rejected', 'unavailable', 'unknown', 'cancelled', 'overdue', 'stuck', 'resolved')
  ),
  code text,
  detail text,
  -- For how long it was tried, where it was sent.
  millis double precision,
  worker uuid,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (saga_id, seq)
);

-- Those who work on sagas. A lease is the worker's, for all of its sagas: when it has run out, others may take them.
CREATE TABLE saga_workers (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  lease_until timestamptz NOT NULL
);
