-- The application's own tables, in a schema that every run of the demo makes anew.
drop schema if exists airports_demo cascade;
create schema airports_demo;

-- Deliberately without a unique constraint on icao: nothing but the engine stands between a crash and a second row,
-- so that the demo can count how often it failed to. (A real application would have the constraint as well.)
create table airports_demo.airport (
    id               bigint           generated always as identity primary key,
    stored_at        timestamptz      not null default clock_timestamp(),
    icao             text             not null,
    iata             text             not null,
    name             text             not null,
    country          text             not null,
    region           text             not null,
    latitude         double precision not null,
    longitude        double precision not null,
    city             text             not null,
    city_population  integer          not null,
    city_distance_km double precision not null
);
