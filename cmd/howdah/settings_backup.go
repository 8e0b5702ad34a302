package main

func backupSettings() []setting {
	const in = sectionBackup
	return []setting{
		{
			section: in, name: "store", shown: "backup_store", initial: "", reload: true,
			doc: "The object store in which exports are kept, the same for every node. \"file:///path\" is a local directory, \"file:path\" one that is looked for from this file's folder; `howdah backup init` makes it. \"s3://bucket/prefix\" is a bucket of S3, or of a server that speaks its protocol, that is there already. Its options follow as in \"?endpoint=https://host:9000&region=eu-1\": path_style=true or false, ca_file (certificates of authorities, PEM), insecure=true (http), storage_class, sse=AES256 or aws:kms with kms_key, lock=GOVERNANCE or COMPLIANCE with lock_days, checksum=crc32c, md5 or none. \"\" is none.",
			at:  func(p *place) any { return &p.backup.Store },
		},
		{
			section: in, name: "credentials_file", initial: "", reload: true,
			doc: "Who asks for the bucket: a file as Amazon's tools have it (aws_access_key_id = …, aws_secret_access_key = …, perhaps aws_session_token = …), that nobody but its owner may read. \"\" takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment.",
			at:  func(p *place) any { return &p.backup.CredentialsFile },
		},
		{
			section: in, name: "read_rate", shown: "store_read_rate", initial: int64(0), most: 1 << 40, reload: true,
			doc: "How many bytes of the store are read in a second at the most, by all that one process does together, 32kB or more: a restore, a drill or a deep verify would fill the line else. Restores take longer then. 0 is no limit.",
			at:  func(p *place) any { return &p.backup.ReadRate },
		},
		{
			section: in, name: "write_rate", shown: "store_write_rate", initial: int64(0), most: 1 << 40, reload: true,
			doc: "How many bytes are written to the store in a second at the most, so too. WAL shares it with base backups: less than the clusters write, compressed, has ever more of it wait. base_max_rate spares a cluster's disks. 0 is no limit.",
			at:  func(p *place) any { return &p.backup.WriteRate },
		},
		{
			section: in, name: "recipients", initial: []any{}, reload: true,
			doc: "Public keys of age (\"age1…\", as age-keygen prints them) for which what is stored is encrypted: whoever has the private key of one can open it. They are all that a node needs that only exports.",
			at:  func(p *place) any { return &p.backup.Recipients },
		},
		{
			section: in, name: "identity_file", initial: "", reload: true,
			doc: "An identity file of age with the private key of a recipient, or several; nobody but its owner may read it. It is needed to restore, to import tenants, to fetch exports, for drills and for `backup verify --deep`, and for nothing else. Without every copy of it all that is stored is lost. \"\" is none.",
			at:  func(p *place) any { return &p.backup.IdentityFile },
		},
		{
			section: in, name: "wal_interval", initial: "1s", reload: true,
			doc: "How old WAL may get before it is stored, 10ms to 1m: at the most about so much is lost with a cluster. Less means more and smaller objects, and shorter waits where a cluster's commits wait for them (synchronous_standby_names).",
			at:  func(p *place) any { return &p.backup.WALInterval },
		},
		{
			section: in, name: "base_interval", initial: "24h", reload: true,
			doc: "How long after one base backup of a cluster the next one is taken. A restore replays the WAL since the last one before its moment. 0 takes none but those that are asked for.",
			at:  func(p *place) any { return &p.backup.BaseInterval },
		},
		{
			section: in, name: "base_changes_interval", initial: "0s", reload: true,
			doc: "How long after one base backup of a cluster an incremental one is taken, which has only what has changed since: of PostgreSQL 17 and newer, with summarize_wal on. Full ones are taken every base_interval all the same, which may be longer then; none that an incremental one needs expires. Where the server cannot, only these are. 0 takes none.",
			at:  func(p *place) any { return &p.backup.BaseChangesInterval },
		},
		{
			section: in, name: "state_dir", initial: "", reload: true,
			doc: "A folder in which PostgreSQL's manifest of each cluster's newest base backup is kept, of some MB, for the next incremental one: without it that needs identity_file, or a full one is taken. It is made if it is not there. \"\" is none.",
			at:  func(p *place) any { return &p.backup.StateDir },
		},
		{
			section: in, name: "keep_base", initial: int64(7), least: 1, most: maxInt, reload: true,
			doc: "Base backups of a cluster that are kept at least, with all WAL since the oldest; incremental ones count, and those that they need stay too. So do those that are taken because of a tenant's backup_rto, one an hour at most: so many may be of as few hours, and keep_window is what says how far back a cluster can be put. What keep_window or a hold needs is kept too, and the last one that can be restored always.",
			at:  func(p *place) any { return &p.backup.KeepBase },
		},
		{
			section: in, name: "keep_window", initial: "168h", reload: true,
			doc: "How far back a cluster can be put: every moment of so long before its newest base backup stays restorable. 0 is no promise.",
			at:  func(p *place) any { return &p.backup.KeepWindow },
		},
		{
			section: in, name: "keep_exports_window", initial: "0s", reload: true,
			doc: "For how long exports are kept; the newest one of each tenant stays. 0 is for ever.",
			at:  func(p *place) any { return &p.backup.KeepExportsWindow },
		},
		{
			section: in, name: "wal_socket", initial: "",
			doc: "A Unix socket by which archive_command and restore_command reach this Howdah: `howdah wal archive-push` and `archive-get` with --socket. Root may use it, who runs Howdah, and for a cluster its os_user. \"\" is none.",
			at:  func(p *place) any { return &p.backup.WALSocket },
		},
		{
			section: in, name: "scratch_dir", initial: "",
			doc: "A folder in which dumps are kept on their way between a database and the store, or another database, and in which scratch servers have what they restore; it needs room for the largest tenant twice, or for a cluster if drills restore clusters. What is in it is the tenants' data, for nobody else to read, and is removed afterwards: by the next one, if a process was killed. Where Howdah runs as root, scratch servers run as nobody, who must be able to come to it. \"\" is one in the system's folder of temporary files.",
			at:  func(p *place) any { return &p.backup.ScratchDir },
		},
		{
			section: in, name: "filestore_dir", initial: "", reload: true,
			doc: "Odoo's folder \"filestore\" (in its data_dir), which has a folder of files for each database, if it is on this machine too, as on a disk that both share. A restore of a tenant puts the files there then that its database refers to, into the folder called like the tenant, with the owner and mode of what is there; nothing is replaced or deleted but the folder that was made for a restored copy, which goes with it when it is purged. Where Howdah does not run as root or as Odoo's user, both need a group that may write there. \"\" is none: who restores is told which command Odoo's host runs.",
			at:  func(p *place) any { return &p.backup.FilestoreDir },
		},
		{
			section: in, name: "base_max_rate", initial: int64(0), most: 1 << 30, reload: true,
			doc: "How much of a cluster is read in a second at the most while a base backup of it is taken by itself, 32kB or more. 0 is as fast as it goes.",
			at:  func(p *place) any { return &p.backup.BaseMaxRate },
		},
		{
			section: in, name: "drill_interval", initial: "0s", reload: true,
			doc: "How long after one drill of a cluster the next one is done, on the node that receives its WAL: what is stored is really restored in scratch_dir, looked through by PostgreSQL's own programs, and removed. That needs identity_file there, and PostgreSQL's programs of the cluster's version. 0 is never.",
			at:  func(p *place) any { return &p.backup.DrillInterval },
		},
		{
			section: in, name: "drill_what", initial: "database", choices: []string{"database", "cluster"}, reload: true,
			doc: "What is restored by drills that are due: a database of the cluster, another one each time, or all of the cluster.",
			at:  func(p *place) any { return &p.backup.DrillWhat },
		},
	}
}
