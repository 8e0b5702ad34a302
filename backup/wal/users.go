package wal

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"sync"
)

const (
	atOnce   = 16 // questions of a user that are answered at the same time
	heldMost = 64 // connections that a user may have, with those that wait
)

// users shares out who is answered: anybody may connect to a socket, and one who never asks,
// or asks too much, must not keep another from being answered.
type users struct {
	mu sync.Mutex
	of map[uint32]*userPlaces
}

type userPlaces struct {
	held int           // connections
	busy chan struct{} // has one for each that is answered
}

var errTooMany = errors.New("too many connections of this user")

// answer answers a connection when it is its user's turn.
func (u *users) answer(ctx context.Context, conn net.Conn, do func(context.Context, net.Conn)) {
	uid, err := peer(conn)
	if err != nil {
		return
	}
	leave, err := u.enter(ctx, uid)
	if err != nil {
		(&answer{conn: conn, sum: sha256.New()}).trouble(err)
		return
	}
	defer leave()
	do(ctx, conn)
}

// enter waits for a place of a user, who gives it back by leave.
func (u *users) enter(ctx context.Context, uid uint32) (leave func(), err error) {
	p := u.hold(uid)
	if p == nil {
		return nil, errTooMany
	}
	select {
	case p.busy <- struct{}{}:
		return func() {
			<-p.busy
			u.release(uid)
		}, nil
	case <-ctx.Done():
		u.release(uid)
		return nil, ctx.Err()
	}
}

// hold counts a connection of a user; nil is that it has too many.
func (u *users) hold(uid uint32) *userPlaces {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.of[uid]
	if p == nil {
		p = &userPlaces{busy: make(chan struct{}, atOnce)}
		if u.of == nil {
			u.of = map[uint32]*userPlaces{}
		}
		u.of[uid] = p
	}
	if p.held == heldMost {
		return nil
	}
	p.held++
	return p
}

func (u *users) release(uid uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p := u.of[uid]; p.held > 1 {
		p.held--
	} else {
		delete(u.of, uid)
	}
}
