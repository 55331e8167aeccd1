CREATE TABLE orders (
  id SERIAL PRIMARY KEY,
  order_id VARCHAR(100) UNIQUE,
  symbol VARCHAR(20) NOT NULL,
  side VARCHAR(10) NOT NULL CHECK (side IN ('buy', 'sell', 'long', 'short')),
  order_type VARCHAR(20) NOT NULL DEFAULT 'market',
  price NUMERIC(18, 8),
  size NUMERIC(18, 8) NOT NULL,
  approved BOOLEAN NOT NULL DEFAULT FALSE,
  rejection_reason TEXT,
  status VARCHAR(20) NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'submitted', 'filled', 'partial', 'cancelled', 'rejected')),
  filled_size NUMERIC(18, 8) NOT NULL DEFAULT 0,
  avg_fill_price NUMERIC(18, 8),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  submitted_at TIMESTAMPTZ,
  filled_at TIMESTAMPTZ,
  metadata JSONB
);
CREATE TABLE trades (
  id SERIAL PRIMARY KEY,
  order_id INTEGER REFERENCES orders (id),
  symbol VARCHAR(20) NOT NULL,
  side VARCHAR(10) NOT NULL,
  price NUMERIC(18, 8) NOT NULL,
  size NUMERIC(18, 8) NOT NULL,
  status VARCHAR(20) NOT NULL DEFAULT 'filled',
  execution_price NUMERIC(18, 8),
  slippage_bps NUMERIC(10, 4),
  fees NUMERIC(18, 8) DEFAULT 0,
  "timestamp" TIMESTAMPTZ NOT NULL DEFAULT now(),
  exchange VARCHAR(20) DEFAULT 'mexc',
  metadata JSONB DEFAULT '{}'
);
CREATE TABLE signals (
  id SERIAL PRIMARY KEY,
  symbol VARCHAR(20) NOT NULL,
  signal_type VARCHAR(10) NOT NULL,
  price NUMERIC(18, 8),
  confidence NUMERIC(5, 4) DEFAULT 0.5,
  "timestamp" TIMESTAMPTZ NOT NULL DEFAULT now(),
  source VARCHAR(50),
  metadata JSONB
);
CREATE TABLE positions (
  id SERIAL PRIMARY KEY, symbol VARCHAR(20) NOT NULL, side VARCHAR(10), size NUMERIC(18, 8),
  entry_price NUMERIC(18, 8), unrealized_pnl NUMERIC(18, 8)
);
CREATE TABLE portfolio_snapshots (
  id SERIAL PRIMARY KEY, "timestamp" TIMESTAMPTZ NOT NULL DEFAULT now(), total_equity NUMERIC(18, 2),
  available_balance NUMERIC(18, 2), daily_pnl NUMERIC(18, 2), total_exposure_pct NUMERIC(8, 4),
  open_positions INTEGER
);
CREATE TABLE schema_version (version VARCHAR(20) PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now());
INSERT INTO portfolio_snapshots (total_equity, available_balance, daily_pnl, total_exposure_pct, open_positions)
  VALUES (100000, 100000, 0, 0, 0);
INSERT INTO schema_version VALUES ('1.0.2', now() - interval '2 seconds'), ('1.0.1', now());
