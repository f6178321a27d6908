-- The outbox: what happened to this service's data, in the transactions that made it happen. Rows are never updated.
-- `xid` and `seq` together order the rows for readers; `version` orders the events of one subject.
CREATE TABLE outbox (
  generation integer NOT NULL DEFAULT 1,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq bigint GENERATED ALWAYS AS IDENTITY,
  type text NOT NULL,
  subject text NOT NULL,
  version bigint NOT NULL CHECK (version > 0),
  data jsonb NOT NULL,
  traceparent text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (generation, xid, seq)
);
