// Package loop moves bytes for thousands of connections on one thread.
//
// A connection is born elsewhere: an ordinary goroutine dials or accepts it
// and goes through its handshake on a blocking net.Conn. Then Adopt takes the
// file descriptor away from Go's network poller and gives it to a Loop
// (conn_linux.go), and from then on no goroutine belongs to it.
//
// A Loop (loop_linux.go) is one OS thread with one epoll instance. A turn
// waits for readiness, hands each ready connection to its Handler, runs what
// other goroutines posted to the mailbox and fires due timers (wheel.go).
// Handlers run on the loop's thread, so everything that belongs to one loop
// needs no locks. They must not block.
//
// Reading goes into one buffer that all connections of a loop share, so an
// idle connection owns none. Writing goes straight to the socket; only what
// the peer could not take is copied into a pooled buffer (buffer.go), and the
// Handler is told when it has drained, so that it can stop reading the other
// side meanwhile.
//
// TLS connections take part through a transport whose Read says "would block"
// and whose Write never does (tls_linux.go).
//
// A Group bounds what its connections may read in one turn, so that one
// tenant's bulk transfer does not hold up the others of its loop.
//
// The loop needs epoll: on other systems than Linux the package does not build
// and says so.
package loop
