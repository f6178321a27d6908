-- Where this service is in the feeds of others. The cursor moves in the transaction that holds what was made of the events.
CREATE TABLE feed_cursors (
  consumer text PRIMARY KEY,
  cursor text,
  -- How many events in a row could not be used; ten of them pause the consumer.
  dead_in_a_row integer NOT NULL DEFAULT 0 CHECK (dead_in_a_row >= 0),
  paused_at timestamptz,
  moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Events that could not be used, with what was wrong. They are kept until somebody has them delivered again.
CREATE TABLE dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL REFERENCES feed_cursors (consumer),
  event_id text NOT NULL,
  event jsonb NOT NULL,
  error text NOT NULL,
  died_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  redrive_asked_at timestamptz,
  UNIQUE (consumer, event_id)
);

CREATE INDEX dead_letters_to_redrive ON dead_letters (consumer, id) WHERE redrive_asked_at IS NOT NULL;
