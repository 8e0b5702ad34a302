package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// listen opens the addresses and the Unix socket of the configuration, all or
// none.
func listen(c *Listen, socket string) (all []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				l.Close()
			}
		}
	}()
	config := net.ListenConfig{KeepAlive: -1} // the router sets it as configured
	for _, address := range c.Addresses {
		l, err := config.Listen(context.Background(), "tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w; stop whoever listens there, or change addresses in [listen]", err)
		}
		if err != nil {
			return all, fmt.Errorf("open listener: %w", err)
		}
		all = append(all, l)
	}
	if socket == "" {
		return all, nil
	}
	group, err := groupID(c.UnixSocketGroup)
	if err != nil {
		return all, err
	}
	l, err := listenUnix(socket, c.UnixSocketMode, group)
	if err != nil {
		return all, err
	}
	return append(all, l), nil
}

// groupID returns the number of a group given by name or number, -1 for "".
func groupID(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return -1, fmt.Errorf("no group %q", group)
	}
	return strconv.Atoi(g.Gid)
}

// listenUnix opens a Unix socket, in the place of one that nobody serves any
// more. A group of -1 stays as it is.
func listenUnix(path string, mode os.FileMode, group int) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("open socket %q: somebody serves it already; stop them, or change unix_socket_dir in [listen]", path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove stale socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	if group >= 0 {
		if err := os.Chown(path, -1, group); err != nil {
			l.Close()
			return nil, fmt.Errorf("give the socket to unix_socket_group: %w", err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, fmt.Errorf("open socket: %w", err)
	}
	return l, nil
}
