-- What makes a log readable by others: which server it was written on, how far it was cut off, and who reads it.

-- A restored dump and a promoted copy begin to count their transactions anew, or again. Each begins a generation of its own,
-- numbered by the time at which it began and by chance, so that no two histories of one service share a number.
CREATE TABLE outbox_origin (
  is_only_one boolean PRIMARY KEY DEFAULT true CHECK (is_only_one),
  generation bigint NOT NULL CHECK (generation > 0),
  system_identifier text NOT NULL,
  timeline text NOT NULL,
  -- The last row that was deleted: whoever has read less than this has missed something.
  trimmed_generation bigint NOT NULL DEFAULT 0,
  trimmed_xid xid8 NOT NULL DEFAULT '0',
  trimmed_seq bigint NOT NULL DEFAULT 0
);

CREATE FUNCTION outbox_new_generation() RETURNS bigint LANGUAGE sql VOLATILE
RETURN (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000 + floor(random() * 1000)::bigint;

-- The first one, too: a database that is made anew must not go on with the numbers of the one before. (Events that are there
-- already, from before there were generations, are of the first.)
INSERT INTO outbox_origin (generation, system_identifier, timeline)
SELECT CASE WHEN EXISTS (SELECT FROM outbox) THEN 1 ELSE outbox_new_generation() END,
  system_identifier::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
FROM pg_control_system();

-- The generation that is written now; a new one where this server is not the one that wrote before. Asked with every append,
-- once a statement: so the first event after a restore or a promotion is in its new generation, whoever writes it.
CREATE FUNCTION outbox_begin() RETURNS bigint LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  here text := (SELECT system_identifier FROM pg_control_system());
  now_on text := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
  found_generation bigint;
BEGIN
  SELECT generation INTO found_generation FROM outbox_origin WHERE system_identifier = here AND timeline = now_on;
  IF found_generation IS NOT NULL THEN RETURN found_generation; END IF;
  UPDATE outbox_origin SET
    generation = greatest(generation + 1, outbox_new_generation()),
    system_identifier = here, timeline = now_on
  WHERE (system_identifier, timeline) <> (here, now_on);
  RETURN (SELECT generation FROM outbox_origin);
END $$;

CREATE FUNCTION outbox_generation() RETURNS bigint LANGUAGE sql STABLE
SET search_path FROM CURRENT
RETURN (SELECT generation FROM outbox_origin);

ALTER TABLE outbox ALTER COLUMN generation TYPE bigint, ALTER COLUMN generation SET DEFAULT outbox_generation();

-- Whoever reads, and how far it has told to have come.
CREATE TABLE outbox_consumers (
  name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
  generation bigint NOT NULL,
  xid xid8 NOT NULL,
  seq bigint NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The rows after a place, in order: only those before which nothing can be committed any more. By the index and no other way,
-- whatever the statistics said when the plan was made: a reader of a long backlog must not sort what is left of it each time.
-- The horizon is a part of what the index is asked: with OR each empty look read all that waits behind an open transaction.
CREATE FUNCTION outbox_after(after_generation bigint, after_xid xid8, after_seq bigint, most integer)
RETURNS SETOF outbox LANGUAGE sql STABLE
SET search_path FROM CURRENT
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
  SELECT * FROM outbox
  WHERE (generation, xid, seq) > (after_generation, after_xid, after_seq)
    AND (generation, xid) < (outbox_generation(), pg_snapshot_xmin(pg_current_snapshot()))
  ORDER BY generation, xid, seq
  LIMIT most
$$;

-- Since when there is something that a reader at this place has not read, given to readers already or not.
CREATE FUNCTION outbox_unread_since(after_generation bigint, after_xid xid8, after_seq bigint)
RETURNS timestamptz LANGUAGE sql STABLE
SET search_path FROM CURRENT
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
  SELECT created_at FROM outbox
  WHERE (generation, xid, seq) > (after_generation, after_xid, after_seq)
  ORDER BY generation, xid, seq
  LIMIT 1
$$;

-- Who keeps the feeds of the whole server from moving on: the oldest transaction that writes, in whichever database. Asked with
-- the rights of whoever migrates, because a service sees nothing of others; what they do is not told, only who they are. (Since
-- when is hidden from a migrator that is neither superuser nor has pg_read_all_stats.)
CREATE FUNCTION outbox_holder() RETURNS TABLE (pid integer, who text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pid, who, since FROM (
    SELECT pid, concat_ws(' ', usename, 'of', application_name, 'in', datname) AS who, xact_start AS since,
      age(backend_xid) AS age
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT NULL, concat_ws(' ', 'the prepared transaction', gid, 'of', owner, 'in', database), prepared, age(transaction)
    FROM pg_prepared_xacts
  ) AS holders ORDER BY age DESC LIMIT 1
$$;
