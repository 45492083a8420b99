-- What was sent inside transactions and is to be put into its topics, in the order in which it was sent. Locks: none.
select o.number, o.name, o.address, o.id, o.payload from stepwell.outbox o order by o.number limit 100
