-- The desk's tables, as prisma/schema.prisma has them, and who may see which row.
\connect desk
GRANT CREATE ON SCHEMA public TO desk_owner;
SET ROLE desk_owner;

CREATE TABLE product (
    shop  text NOT NULL,
    sku   text NOT NULL,
    name  text NOT NULL,
    cents int  NOT NULL CHECK (cents > 0),
    stock int  NOT NULL CHECK (stock >= 0),
    PRIMARY KEY (shop, sku)
);

CREATE TABLE orders (
    id        uuid PRIMARY KEY,
    shop      text NOT NULL,
    sku       text NOT NULL,
    customer  text NOT NULL CHECK (customer <> ''),
    quantity  int  NOT NULL CHECK (quantity > 0),
    state     text NOT NULL DEFAULT 'placed'
              CHECK (state IN ('placed', 'reserved', 'paid', 'packed', 'shipped')),
    placed_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (shop, sku) REFERENCES product
);
CREATE INDEX orders_newest ON orders (shop, placed_at DESC);

-- The primary key is what makes an effect happen once: the second to try finds the row there.
CREATE TABLE effect (
    order_id uuid NOT NULL REFERENCES orders,
    step     text NOT NULL,
    shop     text NOT NULL,
    executor text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (order_id, step)
);

CREATE TABLE attempt (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders,
    step     text NOT NULL,
    shop     text NOT NULL,
    executor text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX attempt_of_order ON attempt (order_id);

-- Each transaction says for which shop it works: set_config('app.tenant', SHOP, true). One that says
-- nothing sees nothing and writes nothing, since NULL equals no shop. FORCE: the owner as well.
DO $$
DECLARE
    of text;
BEGIN
    FOREACH of IN ARRAY ARRAY['product', 'orders', 'effect', 'attempt'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', of);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', of);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (shop = current_setting(''app.tenant'', true))', of);
    END LOOP;
END $$;

GRANT SELECT, UPDATE (stock) ON product TO desk;
GRANT SELECT, INSERT, UPDATE (state) ON orders TO desk;
GRANT SELECT, INSERT ON effect, attempt TO desk;

-- Two shops to look at.
RESET ROLE;
INSERT INTO product (shop, sku, name, cents, stock)
SELECT shop, sku, name, cents, 100000
FROM (VALUES ('north'), ('south')) AS shops (shop),
     (VALUES ('poster', 'Poster, A2', 2400), ('card', 'Postcards, set of 10', 900),
             ('print', 'Giclée print, framed', 12900)) AS goods (sku, name, cents);
