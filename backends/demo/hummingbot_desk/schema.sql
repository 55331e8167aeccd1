CREATE TABLE bot_snapshot_minute (
  bot text, variant text, ts_utc timestamptz, exchange text, trading_pair text, state text, regime text,
  equity_quote double precision, base_pct double precision, target_base_pct double precision,
  daily_loss_pct double precision, drawdown_pct double precision, cancel_per_min double precision,
  orders_active integer, fills_count_today integer, fees_paid_today_quote double precision, risk_reasons text,
  ingest_ts_utc timestamptz DEFAULT now(), PRIMARY KEY (bot, variant, ts_utc)
);
CREATE TABLE accounting_snapshot (
  bot text, ts_utc timestamptz, mid double precision, equity_quote double precision,
  fees_paid_today_quote double precision, funding_paid_today_quote double precision, fee_source text,
  PRIMARY KEY (bot, ts_utc)
);
