-- What Doorward itself has to say about somebody's security goes first: a link does not outlive a long queue. Whoever does
-- not say writes what is not urgent.
ALTER TABLE notifications_deliveries ADD COLUMN urgent boolean NOT NULL DEFAULT false;
CREATE INDEX notifications_deliveries_due_by_urgency ON notifications_deliveries (urgent, due_at, id) WHERE due_at IS NOT NULL;
