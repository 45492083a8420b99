-- Note that a migration has been applied. Locks: none; the caller holds the advisory lock of migrations.
insert into stepwell.migration (number, name, checksum) values ($1::int, $2::text, $3::text)
