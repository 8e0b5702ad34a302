# DBD::Pg: libpq underneath, statements prepared on the server at their second
# use. One case per run, named on the command line; one line per thing looked at.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:async);
use Digest::MD5 qw(md5_hex);
use Time::HiRes qw(sleep time);

binmode STDOUT, ':encoding(UTF-8)';
$| = 1;

sub show {
    my ($label, @values) = @_;
    my $text = join ' ', map { defined $_ ? $_ : 'NULL' } @values;
    $text =~ s/\n/\\n/g;
    $text = length($text) . ' characters, ' . md5_hex($text) if length($text) > 300;
    print "$label: $text\n";
}

sub open_db {
    my ($options, %more) = @_;
    my $password = delete $more{password} // $ENV{PGPASSWORD};
    my $user = delete $more{user} // $ENV{PGUSER};
    return DBI->connect("dbi:Pg:" . ($options // ''), $user, $password,
        { AutoCommit => 1, RaiseError => 0, PrintError => 0, PrintWarn => 0, %more });
}

sub failed {
    my ($h) = @_;
    return $h->state . ' ' . $h->errstr;
}

# ask returns the rows, the count or the error of a statement, and pg_ping's
# word on the transaction: 1 idle, 2 active, 3 in one, 4 in a failed one.
sub ask {
    my ($db, $sql, @values) = @_;
    my $s = $db->prepare($sql) or return failed($db);
    $s->execute(@values) or return failed($s) . ' ' . $db->pg_ping;
    my $text = $s->rows;
    if ($s->{NUM_OF_FIELDS}) {
        $text .= ' (' . join(',', map { $_ // 'NULL' } @$_) . ')' for @{ $s->fetchall_arrayref };
    }
    return $text . ' ' . $db->pg_ping;
}

sub tell_db {
    my ($db, @statements) = @_;
    show($_, ask($db, $_)) for @statements;
}

# script sends what all clients have in common.
sub script {
    my ($file) = @_;
    my %open;
    open my $lines, '<:encoding(UTF-8)', $file or die $!;
    while (my $line = <$lines>) {
        chomp $line;
        my ($letter, $sql) = $line =~ /^(.) (.*)$/;
        if ($sql eq 'closes') {
            (delete $open{$letter})->disconnect;
            next;
        }
        $open{$letter} //= open_db();
        show($line, ask($open{$letter}, $sql));
    }
}

sub connecting {
    my $db = open_db();
    show('version', $db->{pg_server_version}, $db->{pg_lib_version} > 0, $db->{pg_protocol});
    show('encoding', $db->{pg_enable_utf8}, ask($db, 'select ?::text', 'é'));
    for my $options ('channel_binding=require', 'dbname=clients_nowhere', 'sslmode=disable',
        'sslrootcert=/etc/ssl/certs/ca-certificates.crt', q(application_name=mine;options='-c work_mem=7MB'), q(options='-c work_mem=much')) {
        my $other = open_db($options);
        show($options, $other ? ask($other, "select current_setting('application_name'), current_setting('work_mem')") : 'refused');
    }
    show('password', open_db('', password => 'wrong') ? 'connected' : 'refused', $DBI::state);
    my $info = $db->get_info(18);
    show('dbms', $info);
    show('ping', $db->ping, $db->pg_ping);
    show('databases', scalar grep { /dbname=clients\b/ } DBI->data_sources('Pg'));
    my $clone = $db->clone;
    show('clone', ask($clone, 'select 1'));
}

sub transactions {
    my $db = open_db();
    tell_db($db, 'drop table if exists tx', 'create table tx (n int)');
    $db->{AutoCommit} = 0;
    show('insert', ask($db, 'insert into tx values (?)', 1));
    show('commit', $db->commit, $db->pg_ping);
    show('savepoint', $db->pg_savepoint('s'));
    tell_db($db, 'insert into tx values (2)', 'select 1/0', 'select 1');
    show('back', $db->pg_rollback_to('s'), $db->pg_release('s'), ask($db, 'select n from tx'));
    show('rollback', $db->rollback, $db->pg_ping);
    show('nothing to end', $db->commit, $db->rollback);
    tell_db($db, 'select 1/0');
    show('commit of a failed one', $db->commit, $db->pg_ping);
    $db->{AutoCommit} = 1;
    $db->begin_work;
    $db->do('insert into tx values (3)');
    show('begin_work', $db->commit);
    $db->{ReadOnly} = 1;
    $db->begin_work;
    tell_db($db, 'insert into tx values (4)');
    $db->rollback;
    $db->{ReadOnly} = 0;
    tell_db($db, 'select n from tx');
}

sub prepared {
    my ($db, $other) = (open_db(), open_db());
    tell_db($db, 'drop table if exists prep', 'create table prep (n int)');
    my $p = $db->prepare('select ?::int + 1');
    my $q = $other->prepare('select ?::int + 2', { pg_prepare_now => 1 });
    for my $n (1 .. 8) {
        $p->execute($n);
        $q->execute($n);
        show('execute', $p->fetchrow_array, $q->fetchrow_array);
    }
    show('named', $p->{pg_prepare_name} ? 'yes' : 'no', $p->{NUM_OF_PARAMS});
    my @many = map { $db->prepare("select ?::int + $_", { pg_prepare_now => 1 }) } 1 .. 300;
    my $sum = 0;
    for my $round (1 .. 2) {
        for my $s (reverse @many) { $s->execute($round); $sum += $s->fetchrow_array; }
    }
    show('300 statements', $sum);
    my $bad = $db->prepare('selekt ?', { pg_prepare_now => 1 });
    show('syntax error', $bad ? ($bad->execute(1) // failed($bad)) : failed($db));
    my $everything = $db->prepare('select * from prep', { pg_prepare_now => 1 });
    $everything->execute;
    show('change', ask($other, 'alter table prep add column s text'));
    show('changed under it', $everything->execute // failed($everything));
    show('deallocate all', ask($db, 'deallocate all'));
    show('gone', $p->execute(1) // $p->state);
    @many = ();
    tell_db($db, 'select 1');
    $db->disconnect;
    $db = open_db();
    $p = $db->prepare('select ?::int + 1', { pg_prepare_now => 1 });
    show('after reconnect', $p->execute(41), $p->fetchrow_array);
    $db->{pg_server_prepare} = 0;
    show('without', ask($db, 'select ?::int + 1', $_)) for 1 .. 3;
}

# batches is the nearest that DBD::Pg has to a pipeline.
sub batches {
    my $db = open_db();
    tell_db($db, 'drop table if exists pipe', 'create table pipe (n int primary key)');
    my $s = $db->prepare('insert into pipe values (?)');
    my @status;
    show('execute_array', $s->execute_array({ ArrayTupleStatus => \@status }, [ 1, 2, 1, 3 ]), map { ref $_ ? $_->[2] : $_ } @status);
    show('2000', $s->execute_array({}, [ 10 .. 2009 ]));
    for my $sql ('select 1; select 2', 'insert into pipe values (5); select 1/0', 'begin; select 1; commit', 'begin; select 1/0', 'rollback',
        q(set work_mem = '9MB'; select 1/0), '') {
        show($sql, $db->do($sql) // failed($db), $db->pg_ping);
    }
    tell_db($db, 'show work_mem', 'select count(*) from pipe');
}

sub copying {
    my $db = open_db();
    tell_db($db, 'drop table if exists copied', 'create table copied (n int primary key, s text)');
    for my $rows ([ map { "$_\trow $_\n" } 0 .. 19999 ], ["1\tx\n"], [ "30000\tx\n", "nonsense\tx\n" ], []) {
        $db->do('copy copied from stdin');
        $db->pg_putcopydata($_) for @$rows;
        show('in', scalar @$rows, $db->pg_putcopyend ? 'done' : failed($db), $db->pg_ping);
    }
    for my $sql ('copy (select * from copied order by n) to stdout', 'copy (select 1/(500-n) from copied order by n) to stdout') {
        $db->do($sql);
        my ($row, $all) = ('', '');
        eval {
            local $db->{RaiseError} = 1;
            $all .= $row while $db->pg_getcopydata($row) >= 0;
        };
        show($sql, md5_hex($all), $@ ? $db->state : 'done');
    }
    tell_db($db, 'select count(*) from copied');
}

sub heard {
    my ($db, $seconds) = @_;
    my $end = time + $seconds;
    my @all;
    until (@all) {
        while (my $n = $db->pg_notifies) {
            push @all, "$n->[0] $n->[2] own=" . ($n->[1] == $db->{pg_pid} ? 1 : 0);
        }
        last if time > $end;
        sleep 0.02;
    }
    return @all;
}

sub notify {
    my ($db, $other) = (open_db(), open_db());
    tell_db($db, 'listen ch');
    tell_db($other, q(notify ch, 'hello'));
    show('from other', heard($db, 5));
    tell_db($db, q(notify ch, 'own'));
    show('own', heard($db, 5));
    $db->begin_work;
    tell_db($db, q(select pg_notify('ch', 'in a transaction')));
    show('not yet', heard($db, 0.3));
    $db->commit;
    show('committed', heard($db, 5));
    $other->begin_work;
    tell_db($other, q(notify ch, 'never'));
    $other->rollback;
    show('rolled back', heard($db, 0.3));
    tell_db($db, 'unlisten *');
    tell_db($other, q(notify ch, 'not heard'));
    show('unlistened', heard($db, 0.3));
}

sub cancel {
    my $db = open_db();
    for my $n (1 .. 5) {
        $db->do('select pg_sleep(30)', { pg_async => PG_ASYNC });
        sleep 0.1;
        show('cancelled', $db->pg_cancel, $db->state);
        show('alive', ask($db, 'select ?::int', $n));
    }
    $db->do('select pg_sleep(0.2)', { pg_async => PG_ASYNC });
    show('waits', $db->pg_result, ask($db, 'select 1'));
    tell_db($db, 'set statement_timeout = 50', 'select pg_sleep(30)', 'reset statement_timeout');
}

sub large {
    my $db = open_db();
    my $text = 'x' x (10 << 20);
    my ($back) = $db->selectrow_array('select ?::text', undef, $text);
    show('text', md5_hex($back));
    my $s = $db->prepare('select ?::bytea');
    $s->bind_param(1, $text, { pg_type => DBD::Pg::PG_BYTEA });
    $s->execute;
    show('bytea', md5_hex($s->fetchrow_array));
    show('simple', length(($db->selectrow_array("select '$text'"))[0]));
    show('rows', md5_hex(join ',', map { @$_ } @{ $db->selectall_arrayref(q(select n, repeat('y', 1000) from generate_series(1, 20000) n)) }));
    $db->begin_work;
    my $oid = $db->pg_lo_creat($db->{pg_INV_WRITE});
    my $fd = $db->pg_lo_open($oid, $db->{pg_INV_WRITE} | $db->{pg_INV_READ});
    show('large object', $db->pg_lo_write($fd, $text, 1 << 20), $db->pg_lo_lseek($fd, 0, 0), $db->pg_lo_read($fd, $back, 1 << 20), $db->pg_lo_unlink($oid));
    $db->commit;
}

my %cases = (
    connect => \&connecting, transactions => \&transactions, prepared => \&prepared, pipeline => \&batches, copy => \&copying,
    notify => \&notify, cancel => \&cancel, large => \&large,
);
my $name = $ARGV[0];
my $file = "$ENV{CLIENTS_SCRIPTS}/$name.txt";
print "not in this client\n" unless $cases{$name} || -e $file;
$cases{$name}->() if $cases{$name};
script($file) if -e $file;
