-- The store's clock. Locks: none.
select now()
