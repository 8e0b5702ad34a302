package router

import (
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerTrusted reports whether nc is a Unix socket with root or the user who
// runs Howdah at its other end.
func peerTrusted(nc net.Conn) bool {
	uid, ok := peerID(nc)
	return ok && (uid == 0 || int(uid) == os.Geteuid())
}

// peerName returns the name of the operating system's user at the other end of
// a Unix socket, "" where it cannot be known.
func peerName(nc net.Conn) string {
	uid, ok := peerID(nc)
	if !ok {
		return ""
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return ""
	}
	return u.Username
}

// peerID returns the user at the other end of a Unix socket, as it was when
// the socket was connected.
func peerID(nc net.Conn) (uid uint32, ok bool) {
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return 0, false
	}
	return cred.Uid, true
}
