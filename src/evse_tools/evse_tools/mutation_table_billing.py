"""Guards of what is billed (the register, readings, prices, records), each with a way to break it; as mutation_table.py."""

from evse_tools.mutation_table import Mutation

METER = "unit/test_energy_meter.py"
BOOK = "unit/test_meter_book.py"
RECORDS = "unit/test_charge_records.py"
READINGS, PRICING, SESSION_TARIFF = "unit/test_session_readings.py", "unit/test_pricing.py", "unit/test_session_tariff.py"
EVIDENCE, AUDIT = "unit/test_evidence.py", "unit/test_audit.py"

BILLING_MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "the meter's register never decreases",
        "energy_meter.py",
        "            rise = (max(self.last.power, 0.0) + max(reading.power, 0.0)) / 2.0 * hours\n",
        "            rise = (self.last.power + reading.power) / 2.0 * hours\n",
        (METER,),
    ),
    Mutation(
        "nothing is metered over a gap",
        "energy_meter.py",
        "        if self.last is not None and reading.time - self.last.time <= self._config.max_gap:\n",
        "        if self.last is not None:\n",
        (METER,),
    ),
    Mutation(
        "other unit prices hold from a reading of their own on",
        "open_session.py",
        "        other = self.tariff.phase(stamp, zone).text() != self.readings[-1].phase\n",
        "        other = False\n",
        (SESSION_TARIFF,),
    ),
    Mutation(
        "idle time is the vehicle's only where the station does not limit",
        "session_readings.py",
        " and not session.limited else",
        " else",
        (READINGS,),
    ),
    Mutation(
        "time that nobody saw is free",
        "session_readings.py",
        "        if 0.0 < step <= self.max_gap:\n",
        "        if 0.0 < step:\n",
        (READINGS,),
    ),
    Mutation(
        "readings of what flutters are apart",
        "session_readings.py",
        " or now - self._event_at < READING_SPACING:\n",
        ":\n",
        (READINGS,),
    ),
    Mutation(
        "a session that failed costs no fee",
        "pricing.py",
        " if energy and Fraction(tariff.price_per_session) else []\n",
        " if Fraction(tariff.price_per_session) else []\n",
        (PRICING,),
    ),
    Mutation(
        "a quantity is rounded once per unit price, not per reading",
        "pricing.py",
        "                found[what, unit_price] = found.get((what, unit_price), 0) + quantity\n",
        "                found[what, unit_price] = quantity\n",
        (PRICING,),
    ),
    Mutation(
        "a record does not end below its begin",
        "charge_records.py",
        "        register_wh=max(register.register_wh, last.register_wh),\n",
        "        register_wh=register.register_wh,\n",
        (RECORDS, BOOK),
    ),
    Mutation(
        "a session is billed once",
        "charge_records.py",
        " and session.session_id != open_session and not known:\n",
        " and session.session_id != open_session:\n",
        (RECORDS, BOOK),
    ),
    Mutation(
        "a restarted meter hears what flowed meanwhile before it ends a record",
        "record_keeper.py",
        "        if self._resuming is not None and self.meter.last is None:\n",
        "        if False:\n",
        (BOOK,),
    ),
    Mutation(
        "a record whose session is gone waits for the end of the current",
        "record_keeper.py",
        "            if self._settling(RecordAction.INTERRUPT in wanted, now):\n",
        "            if False:\n",
        (BOOK,),
    ),
    Mutation(
        "what was counted last is on disk also where nothing more comes",
        "record_keeper.py",
        "        overdue = (self._unsynced or self._times != self._store.times) and now - self._synced >= self._config.sync_period\n",
        "        overdue = False\n",
        (BOOK,),
    ),
    Mutation(
        "a record is told when it is stored",
        "record_keeper.py",
        "        store.begin(record, self.tariff.phase(stamp, self._zone).text())\n",
        "        self._told(record)\n        store.begin(record, self.tariff.phase(stamp, self._zone).text())\n",
        (BOOK,),
    ),
    Mutation(
        "the counter of what may be missed is stored before anything is counted",
        "record_keeper.py",
        "isfinite(counted) and counted != stored",
        "False",
        (BOOK,),
    ),
    Mutation(
        "a tariff of the CSMS ends where the description has another one",
        "held_tariff.py",
        "        if change is None or change.old != self._described.text():\n",
        "        if change is None:\n",
        (SESSION_TARIFF,),
    ),
    Mutation(
        "another currency or tax waits for the next session",
        "open_session.py",
        "        if tariff.can_follow(self._begun_with):\n",
        "        if True:\n",
        (SESSION_TARIFF,),
    ),
    Mutation(
        "the first idle minutes are free",
        "pricing.py",
        "_seconds(begin.idle_time, end.idle_time, phase.idle_grace * SECONDS_PER_MINUTE)",
        "_seconds(begin.idle_time, end.idle_time, 0)",
        (PRICING,),
    ),
    Mutation(
        "a session that failed has no minimum",
        "pricing.py",
        "    if used and charged < least.amount:\n",
        "    if charged < least.amount:\n",
        (PRICING,),
    ),
    Mutation(
        "a record is chained to the one before",
        "evidence.py",
        "    return hashlib.sha256(before + record.encode()).digest()\n",
        "    return hashlib.sha256(record.encode()).digest()\n",
        (EVIDENCE,),
    ),
    Mutation(
        "a record of an integrated value says that it is not legal",
        "evidence.py",
        "**({} if record.legal else NOT_LEGAL)",
        "**{}",
        (EVIDENCE,),
    ),
    Mutation(
        "a record stands with the reading that it was made for",
        "signed_readings.py",
        "    for index in range(begin, len(readings)):\n",
        "    for index in range(len(readings)):\n",
        (SESSION_TARIFF,),
    ),
    Mutation(
        "an entry that was taken out of the audit trail is missed",
        "audit.py",
        "        if row.counter != expected:\n",
        "        if False:\n",
        (AUDIT,),
    ),
    Mutation(
        "an entry says what the parameter was before",
        "audit.py",
        "    if entry.old != values.get(key, NOTHING):\n",
        "    if False:\n",
        (AUDIT,),
    ),
)
