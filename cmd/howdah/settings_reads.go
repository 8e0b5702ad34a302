package main

import "howdah/tenants"

// readSettings are what of a tenant's work may go to standbys.
func readSettings() []setting {
	return []setting{
		{
			name: "read_split", initial: tenants.SplitDeclared, reload: true,
			choices: []string{tenants.SplitDeclared, tenants.SplitAuto, tenants.SplitOff},
			doc:     "Which work may go to standbys: what says READ ONLY (BEGIN READ ONLY, default_transaction_read_only, or a statement that begins with the comment /* howdah: standby */), also what a parser finds to be reading, or nothing. Only to one that has all that the database's clients have written, and only where the first statement means the same there. auto is for statements that are a transaction of their own: the first time that one of its shape is seen it runs at the primary, and so do all behind a change of the database's definitions until its catalog has been read again; changes past Howdah are noticed within ten minutes.",
			at:      func(p *place) any { return &p.limits.Reads.Split },
		},
		{
			name: "standby_users", initial: []any{}, reload: true,
			doc: "Users whose transactions may run at standbys as if they said READ ONLY; a * at the end of a name stands for anything. One that writes all the same fails there with 25006, unless it is its first statement, which then runs at the primary; READ WRITE keeps a transaction at the primary.",
			at:  func(p *place) any { return &p.limits.Reads.Users },
		},
		{
			name: "standby_applications", initial: []any{}, reload: true,
			doc: "The same for sessions with one of these as application_name. pg_dump stays at the primary unless it is named here: a standby may cancel it in the middle of a table.",
			at:  func(p *place) any { return &p.limits.Reads.Applications },
		},
		{
			name: "standby_statements", initial: []any{}, reload: true,
			doc: "The same for transactions that begin with one of these statements, whatever its literals and parameters are: known heavy reports. Each is the statement's text, as the application sends it.",
			at:  func(p *place) any { return &p.limits.Reads.Statements },
		},
		{
			name: "standby_timeout", initial: "0s", reload: true,
			doc: "How long a transaction may last at a standby, where it can hold up what the primary sends, and with it every tenant's reads; then its client is cut with 57014. 0 is off.",
			at:  func(p *place) any { return &p.limits.Reads.Timeout },
		},
		{
			name: "target_session_attrs", initial: string(tenants.AnySession), reload: true,
			choices: tenants.AllSessionAttrs(),
			doc:     "What sessions are that do not ask for something else by a startup parameter of this name, or one in their options. Those with read-write or primary never go to a standby. All transactions with prefer-standby may, as if they said READ ONLY. So may those with standby and read-only, whose default_transaction_read_only is on. With prefer-standby and standby clients hear that in_hot_standby is on, so that libpq is content. Where no standby can serve a transaction the primary does. For a second [[tenant]] with the same database.",
			at:      func(p *place) any { return &p.limits.Reads.SessionAttrs },
		},
		{
			name: "read_your_writes", initial: tenants.OfTenant, reload: true,
			choices: []string{tenants.OfTenant, tenants.OfSession},
			doc:     "What a transaction must find at a standby: all that was written to its database through this Howdah, or only what its own session has written, and seen before. With session two sessions of one user, such as two requests of a web server, may see different times.",
			at:      func(p *place) any { return &p.limits.Reads.OwnWrites },
		},
	}
}
