//! Indexes for the staff lists: each covers a filter and the sort order, so that the cost of a page does not depend on
//! the number of rows.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Orders are filtered by three statuses; an omitted filter is expanded to all values. On PostgreSQL the index has
/// `NULLS FIRST`, although there are no nulls: queries use that order, so that the planner chooses this index and not
/// the one of all orders, which would skip rows with other statuses.
const UP: &str = "
DROP INDEX order_status
--
CREATE INDEX order_state_placed ON customer_order (
    status, payment_status, fulfilment_status,
pg:    placed_at NULLS FIRST, id NULLS FIRST
lite:    placed_at, id
)
--
CREATE INDEX order_state_total ON customer_order (
    status, payment_status, fulfilment_status,
pg:    total NULLS FIRST, id NULLS FIRST
lite:    total, id
)
--
CREATE INDEX job_kind ON job (kind, id)
--
CREATE INDEX job_queue ON job (queue, id)
--
CREATE INDEX stock_movement_variant ON stock_movement (variant_id, id)
--
DROP INDEX audit_action
--
CREATE INDEX audit_action ON audit (action, created_at, id)
--
DROP INDEX audit_thing
--
CREATE INDEX audit_thing ON audit (thing_kind, thing_id, created_at, id)
--
DROP INDEX audit_actor
--
CREATE INDEX audit_actor ON audit (actor_kind, actor_id, created_at, id)
";

const DOWN: &str = "
DROP INDEX audit_actor
--
CREATE INDEX audit_actor ON audit (actor_kind, actor_id, id)
--
DROP INDEX audit_thing
--
CREATE INDEX audit_thing ON audit (thing_kind, thing_id, id)
--
DROP INDEX audit_action
--
CREATE INDEX audit_action ON audit (action, id)
--
DROP INDEX stock_movement_variant
--
DROP INDEX job_queue
--
DROP INDEX job_kind
--
DROP INDEX order_state_total
--
DROP INDEX order_state_placed
--
CREATE INDEX order_status ON customer_order (status, placed_at, id)
";
