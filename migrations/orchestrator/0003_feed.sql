\ir ../../packages/outbox/migrations/feed.sql
