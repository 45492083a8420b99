-- The migrations that have been applied. Locks: none.
select number, name, checksum from stepwell.migration
