-- The warehouse, in a schema that every run of the demo makes anew.
drop schema if exists warehouse cascade;
create schema warehouse;

create table warehouse.customer_order (
    id               text        primary key,
    name             text        not null,
    total            numeric,
    currency         text,
    financial_status text,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    stored_at        timestamptz not null default now(),
    delivery_id      uuid        not null,
    execution_id     uuid        not null
);
comment on column warehouse.customer_order.delivery_id is 'The delivery that wrote this row: stepwell.deliveries.';
comment on column warehouse.customer_order.execution_id is 'The execution that wrote this row: stepwell.executions.';

create table warehouse.order_line (
    order_id     text    not null references warehouse.customer_order,
    title        text    not null,
    quantity     integer not null,
    price        numeric,
    delivery_id  uuid    not null,
    execution_id uuid    not null
);

create view warehouse.revenue as
select created_at::date as day, currency, count(*) as orders, sum(total) as total
from warehouse.customer_order
group by created_at::date, currency;

create view warehouse.best_sellers as
select title, sum(quantity) as sold, sum(quantity * price) as revenue
from warehouse.order_line
group by title;

-- Which delivery wrote this row, how did it come, and what became of it?
create view warehouse.provenance as
select o.name, o.updated_at, d.type, d.received_at, d.is_reconciled, d.duplicates, e.id as execution_id, e.status
from warehouse.customer_order o
join stepwell.deliveries d on d.id = o.delivery_id
join stepwell.executions e on e.id = o.execution_id;
