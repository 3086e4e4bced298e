"""Clinical trials of customers, made up: the same numbers make the same rows, and every person's name says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devtools.postgresql import Postgresql

MARKER = "PLAINTEXT-MARKER"
"""What every text in the data begins with, that must never lie anywhere in the clear."""
VISITS = 8
LABS = 12
"""Laboratory results of a visit, before those that are delivered twice or corrected."""

_SCHEMA = """
CREATE TABLE subjects (
    subject_id bigint PRIMARY KEY, site_code text, country text, sex text, birth_date date, full_name text, email text,
    consented_on date
);
CREATE TABLE visits (
    visit_id bigint PRIMARY KEY, subject_id bigint, visit_number int, visited_on date, status text
);
CREATE TABLE lab_results (
    result_id bigint PRIMARY KEY, sample_id bigint, revision int, subject_id bigint, visit_id bigint, analyte text,
    value double precision, unit text, measured_at timestamptz, remark text
);
CREATE TABLE adverse_events (
    event_id bigint PRIMARY KEY, subject_id bigint, term text, severity int, started_on date, ended_on date,
    serious boolean
);
"""
# hashint8extended gives the same for the same number and seed, on every machine.
_ROWS = """
CREATE FUNCTION pick(n bigint, seed bigint, range int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT (abs(hashint8extended(n, seed) %% 1000000007) %% range)::int';
INSERT INTO subjects SELECT
    n, (ARRAY['DE-01','DE-02','FR-01','US-07'])[1 + pick(n, {seed} + 1, 4)],
    (ARRAY['DE','de','FR','US','USA'])[1 + pick(n, {seed} + 2, 5)],
    (ARRAY['F','M','f','male'])[1 + pick(n, {seed} + 3, 4)],
    DATE '1940-01-01' + pick(n, {seed} + 4, 22000), '{marker} person ' || n || ' of {customer}',
    '{marker}-' || n || '@{customer}.example', DATE '2025-01-01' + pick(n, {seed} + 5, 90)
    FROM generate_series(1, {subjects}) n;
INSERT INTO visits SELECT
    (s - 1) * {visits} + v, s, v, DATE '2025-04-01' + (v - 1) * 28 + pick(s * 100 + v, {seed} + 6, 5),
    CASE WHEN pick(s * 100 + v, {seed} + 7, 40) = 0 THEN 'missed' ELSE 'done' END
    FROM generate_series(1, {subjects}) s, generate_series(1, {visits}) v;
INSERT INTO lab_results SELECT row_number() OVER (ORDER BY late, visit_id, l), sample, revision, subject_id, visit_id,
    analyte, value, unit, measured_at, remark
    FROM (
        SELECT v.visit_id * 100 + l AS sample, revision, (revision > 1)::int AS late, v.subject_id, v.visit_id, l,
            CASE l % 4 WHEN 0 THEN 'GLUC' WHEN 1 THEN 'HGB' WHEN 2 THEN 'CREA' ELSE 'gluc' END AS analyte,
            CASE WHEN pick(v.visit_id * 100 + l, {seed} + 8, 500) = 0 THEN 9999.0
                ELSE (pick(v.visit_id * 1000 + l * 10 + revision, {seed} + 9, 900) + 100) / 10.0 END AS value,
            CASE WHEN l % 4 IN (0, 3) THEN (ARRAY['mg/dL','mmol/L'])[1 + pick(v.visit_id * 100 + l, {seed} + 10, 2)]
                WHEN l % 4 = 1 THEN 'g/dL' ELSE 'umol/L' END AS unit,
            (v.visited_on + TIME '08:00') AT TIME ZONE 'UTC' + l * INTERVAL '5 minutes' AS measured_at,
            CASE WHEN pick(v.visit_id * 100 + l, {seed} + 11, 20) = 0
                THEN '{marker} remark on ' || v.visit_id || '/' || l || ' of {customer}' END AS remark
        FROM visits v, generate_series(1, {labs}) l,
            -- Some come twice, some are corrected later.
            LATERAL (SELECT 1 AS revision UNION ALL
                SELECT 1 WHERE pick(v.visit_id * 100 + l, {seed} + 12, 50) = 0 UNION ALL
                SELECT 2 WHERE pick(v.visit_id * 100 + l, {seed} + 13, 25) = 0) revisions
        WHERE v.status = 'done'
    ) rows;
INSERT INTO adverse_events SELECT
    n, 1 + pick(n, {seed} + 14, {subjects}),
    (ARRAY['Headache','headache','Nausea','Rash'])[1 + pick(n, {seed} + 15, 4)],
    1 + pick(n, {seed} + 16, 5), DATE '2025-04-01' + pick(n, {seed} + 17, 200),
    CASE WHEN pick(n, {seed} + 18, 3) > 0 THEN DATE '2025-11-01' END, pick(n, {seed} + 19, 20) = 0
    FROM generate_series(1, {subjects} * 2) n;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDatabase:
    """A customer's own database.

    Attributes:
        customer: The customer.
        database: Its name.
        username: The role that may read it, and nothing else.
        password: Its password.
    """

    customer: str
    database: str
    username: str
    password: str


def fill(server: Postgresql, customer: str, *, subjects: int, seed: int) -> CustomerDatabase:
    """Make a customer's database: about 108 rows for each subject."""
    made = CustomerDatabase(
        customer=customer, database=customer, username=f"{customer}_reader", password=f"{MARKER}-password-of-{customer}"
    )
    values = {
        "customer": customer,
        "marker": MARKER,
        "subjects": subjects,
        "seed": seed,
        "visits": VISITS,
        "labs": LABS,
    }
    with server.connect() as owner:
        owner.execute(f"CREATE DATABASE {customer}")
        # Every role may connect to every database otherwise.
        owner.execute(f"REVOKE CONNECT ON DATABASE {customer} FROM PUBLIC")
        owner.execute(f"CREATE ROLE {made.username} LOGIN PASSWORD '{made.password}'")
        owner.execute(f"GRANT CONNECT ON DATABASE {customer} TO {made.username}")
    with server.connect(customer) as owner:
        owner.execute(_SCHEMA)
        owner.execute(_ROWS.format(**values).replace("%%", "%"))
        owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {made.username}")
    return made


def count(server: Postgresql, customer: str) -> dict[str, int]:
    """Return the rows of each table."""
    tables = ("subjects", "visits", "lab_results", "adverse_events")
    with server.connect(customer) as owner:
        found: dict[str, Any] = {
            each: owner.execute(f"SELECT count(*) FROM {each}").fetchone()[0]  # noqa: S608 - our own names
            for each in tables
        }
    return found
