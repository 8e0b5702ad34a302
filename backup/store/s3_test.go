package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

func TestS3(t *testing.T) {
	t.Parallel()
	var server *storetest.S3
	var stores atomic.Int64
	create := func(sub *testing.T) string {
		if server == nil {
			server = storetest.StartS3(t)
		}
		return server.URL(sub, "conformance", fmt.Sprintf("store/%d", stores.Add(1)))
	}
	storetest.Run(t, create, func(t *testing.T, where string) store.Store { return storetest.OpenS3(t, where) })
}
