-- The system's nine tables without the partitions of TimescaleDB, and what the room asks of that extension.

CREATE TABLE metrics (
  id bigserial, metric_name varchar(50) NOT NULL, exchange varchar(20) NOT NULL, instrument varchar(30) NOT NULL,
  timestamp timestamptz NOT NULL, value numeric(20, 8) NOT NULL, zscore numeric(10, 4),
  created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at));
CREATE INDEX ON metrics (created_at);
CREATE INDEX ON metrics (metric_name, instrument, timestamp DESC);

CREATE TABLE basis_metrics (
  id bigserial, perp_instrument varchar(30) NOT NULL, spot_instrument varchar(30) NOT NULL,
  exchange varchar(20) NOT NULL, timestamp timestamptz NOT NULL, perp_mid numeric(20, 8) NOT NULL,
  spot_mid numeric(20, 8) NOT NULL, basis_abs numeric(20, 8) NOT NULL, basis_bps numeric(10, 4) NOT NULL,
  zscore numeric(10, 4), created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at));

CREATE TABLE order_book_snapshots (
  id bigserial, exchange varchar(20), instrument varchar(30), timestamp timestamptz,
  local_timestamp timestamptz NOT NULL, sequence_id bigint, mid_price numeric(20, 8), bids_json jsonb,
  asks_json jsonb, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at));
CREATE TABLE ticker_snapshots (
  id bigserial, exchange varchar(20), instrument varchar(30), timestamp timestamptz,
  last_price numeric(20, 8) NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at));
CREATE TABLE health_snapshots (
  id bigserial, exchange varchar(20), status varchar(20), message_count bigint, lag_ms int,
  created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at));

CREATE TABLE alerts (
  id bigserial PRIMARY KEY, alert_id varchar(100) UNIQUE NOT NULL, alert_type varchar(50) NOT NULL,
  priority varchar(5) NOT NULL, severity varchar(10) NOT NULL, exchange varchar(20), instrument varchar(30),
  trigger_metric varchar(50) NOT NULL, trigger_value numeric(20, 8) NOT NULL,
  trigger_threshold numeric(20, 8) NOT NULL, trigger_condition varchar(10) NOT NULL,
  zscore_value numeric(10, 4), zscore_threshold numeric(10, 4), triggered_at timestamptz NOT NULL,
  acknowledged_at timestamptz, resolved_at timestamptz, duration_seconds int, peak_value numeric(20, 8),
  peak_at timestamptz, escalated boolean DEFAULT false, escalated_at timestamptz, original_priority varchar(5),
  context jsonb DEFAULT '{}', resolution_type varchar(20), resolution_value numeric(20, 8),
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE INDEX ON alerts (resolved_at) WHERE resolved_at IS NULL;

CREATE TABLE data_gaps (
  id bigserial PRIMARY KEY, exchange varchar(20) NOT NULL, instrument varchar(30) NOT NULL,
  gap_start timestamptz NOT NULL, gap_end timestamptz NOT NULL, duration_seconds numeric(10, 3) NOT NULL,
  reason varchar(50) NOT NULL, sequence_id_before bigint, sequence_id_after bigint,
  created_at timestamptz DEFAULT now());

CREATE TABLE alert_definitions (
  id serial PRIMARY KEY, alert_type varchar(50) UNIQUE NOT NULL, metric_name varchar(50), default_priority varchar(5),
  default_severity varchar(10), condition varchar(10), requires_zscore boolean, throttle_seconds int DEFAULT 60,
  enabled boolean DEFAULT true);
CREATE TABLE alert_thresholds (
  id serial PRIMARY KEY, alert_type varchar(50) NOT NULL REFERENCES alert_definitions (alert_type),
  instrument varchar(30) NOT NULL, threshold numeric(20, 8) NOT NULL, zscore_threshold numeric(10, 4),
  enabled boolean DEFAULT true, UNIQUE (alert_type, instrument));

CREATE FUNCTION hypertable_size(which regclass) RETURNS bigint LANGUAGE sql
  AS 'SELECT pg_total_relation_size(which)';
CREATE FUNCTION approximate_row_count(which regclass) RETURNS bigint LANGUAGE sql
  AS 'SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = which';
CREATE FUNCTION drop_chunks(which regclass, older_than interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('DELETE FROM %s WHERE created_at < date_trunc(''day'', now() - %L::interval)', which, older_than);
END $$;

INSERT INTO alert_definitions (alert_type, metric_name, default_priority, default_severity, condition, requires_zscore) VALUES
  ('spread_warning', 'spread_bps', 'P2', 'warning', 'gt', true),
  ('spread_critical', 'spread_bps', 'P1', 'critical', 'gt', true),
  ('basis_warning', 'basis_bps', 'P2', 'warning', 'abs_gt', true),
  ('basis_critical', 'basis_bps', 'P1', 'critical', 'abs_gt', true),
  ('depth_warning', 'depth_10bps_total', 'P2', 'warning', 'lt', false),
  ('depth_critical', 'depth_10bps_total', 'P1', 'critical', 'lt', false),
  ('depth_drop', 'depth_10bps_change_pct', 'P2', 'warning', 'lt', false),
  ('mark_deviation_warning', 'mark_index_deviation_bps', 'P2', 'warning', 'abs_gt', true),
  ('mark_deviation_critical', 'mark_index_deviation_bps', 'P1', 'critical', 'abs_gt', true),
  ('cross_exchange_divergence', 'cross_exchange_spread_bps', 'P2', 'warning', 'abs_gt', false),
  ('data_gap', 'gap_duration_seconds', 'P3', 'info', 'gt', false);

INSERT INTO alert_thresholds (alert_type, instrument, threshold, zscore_threshold) VALUES
  ('spread_warning','BTC-USDT-PERP',3,2), ('spread_critical','BTC-USDT-PERP',5,3), ('basis_warning','BTC-USDT-PERP',10,2),
  ('basis_critical','BTC-USDT-PERP',20,3), ('depth_warning','BTC-USDT-PERP',500000,NULL), ('depth_critical','BTC-USDT-PERP',200000,NULL),
  ('depth_drop','BTC-USDT-PERP',-30,NULL), ('mark_deviation_warning','BTC-USDT-PERP',15,2), ('mark_deviation_critical','BTC-USDT-PERP',30,3),
  ('cross_exchange_divergence','BTC-USDT-PERP',5,NULL), ('data_gap','BTC-USDT-PERP',5,NULL), ('spread_warning','BTC-USDT-SPOT',2,2),
  ('spread_critical','BTC-USDT-SPOT',4,3), ('depth_warning','BTC-USDT-SPOT',300000,NULL), ('depth_critical','BTC-USDT-SPOT',100000,NULL),
  ('depth_drop','BTC-USDT-SPOT',-30,NULL), ('cross_exchange_divergence','BTC-USDT-SPOT',3,NULL), ('data_gap','BTC-USDT-SPOT',5,NULL),
  ('spread_warning','ETH-USDT-PERP',5,2), ('spread_critical','ETH-USDT-PERP',10,3), ('basis_warning','ETH-USDT-PERP',15,2),
  ('basis_critical','ETH-USDT-PERP',30,3), ('depth_warning','ETH-USDT-PERP',200000,NULL), ('depth_critical','ETH-USDT-PERP',75000,NULL),
  ('depth_drop','ETH-USDT-PERP',-30,NULL), ('mark_deviation_warning','ETH-USDT-PERP',20,2), ('mark_deviation_critical','ETH-USDT-PERP',40,3),
  ('cross_exchange_divergence','ETH-USDT-PERP',8,NULL), ('data_gap','ETH-USDT-PERP',5,NULL), ('spread_warning','ETH-USDT-SPOT',4,2),
  ('spread_critical','ETH-USDT-SPOT',8,3), ('depth_warning','ETH-USDT-SPOT',150000,NULL), ('depth_critical','ETH-USDT-SPOT',50000,NULL),
  ('depth_drop','ETH-USDT-SPOT',-30,NULL), ('cross_exchange_divergence','ETH-USDT-SPOT',5,NULL), ('data_gap','ETH-USDT-SPOT',5,NULL),
  ('spread_warning','*',10,2), ('spread_critical','*',20,3), ('basis_warning','*',25,2),
  ('basis_critical','*',50,3), ('depth_warning','*',100000,NULL), ('depth_critical','*',50000,NULL),
  ('depth_drop','*',-40,NULL), ('mark_deviation_warning','*',25,2), ('mark_deviation_critical','*',50,3),
  ('cross_exchange_divergence','*',10,NULL), ('data_gap','*',5,NULL);
