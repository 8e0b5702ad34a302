package fleet

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/tenants/catalog"
)

// Once is a client's name for a request: asked a second time under the same name, which
// happens when the answer got lost, it gets the first answer and nothing more is done.
type Once struct {
	Key    string
	Secret string // of the client's: the answer, which has a password, is kept under it
}

// hash is the same for the same request of the same client.
func (o *Once) hash(request ...string) []byte {
	text, _ := json.Marshal(request) // texts
	if o != nil {
		text = append(text, o.Secret...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// seal and open keep an answer so that only who knows the secret can read it.
func (o *Once) seal(answer any) ([]byte, error) {
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce) // never fails
	return o.cipher().Seal(nonce, nonce, text, nil), nil
}

func (o *Once) open(sealed []byte, answer any) error {
	if len(sealed) < 12 {
		return errors.New("the answer that was kept is too short")
	}
	text, err := o.cipher().Open(nil, sealed[:12], sealed[12:], nil)
	if err != nil {
		return fmt.Errorf("open the answer that was kept: %w", err)
	}
	return json.Unmarshal(text, answer)
}

func (o *Once) cipher() cipher.AEAD {
	key := sha256.Sum256([]byte("howdah idempotency\x00" + o.Secret + "\x00" + o.Key))
	block, _ := aes.NewCipher(key[:]) // 32 bytes are a key
	aead, _ := cipher.NewGCM(block)   // AES has the block size it wants
	return aead
}

// name is what the key is kept under: others' keys may be the same.
func (o *Once) name() string {
	sum := sha256.Sum256([]byte(o.Secret))
	return fmt.Sprintf("%x", sum[:8])
}

// again returns the first answer to the request, false if it is the first time.
func (o *Once) again(tx *catalog.Tx, request []byte, answer any) (bool, error) {
	var first, sealed []byte
	err := tx.QueryRow("select request, answer from howdah.idempotency where token = $1 and key = $2", o.name(), o.Key).Scan(&first, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if string(first) != string(request) {
		return false, invalid("", "the Idempotency-Key was used for another request")
	}
	return true, o.open(sealed, answer)
}

// answered returns the answer to a request that was made before, nil if it was not.
func answered[T any](ctx context.Context, f *Fleet, by catalog.Actor, once *Once, request []byte) (*T, error) {
	if once == nil {
		return nil, nil
	}
	var first T
	var made bool
	err := f.Catalog.Change(ctx, by, func(tx *catalog.Tx) (err error) {
		made, err = once.again(tx, request, &first)
		return err
	})
	if err != nil || !made {
		return nil, err
	}
	return &first, nil
}

// keep keeps the answer.
func (o *Once) keep(tx *catalog.Tx, request []byte, answer any) error {
	sealed, err := o.seal(answer)
	if err != nil {
		return err
	}
	return tx.Exec("insert into howdah.idempotency (token, key, request, answer) values ($1, $2, $3, $4)", o.name(), o.Key, request, sealed)
}

// answersFor is for how long a request that comes a second time gets the first answer.
const answersFor = 24 * time.Hour

// forgetAnswers removes those that are older.
func (f *Fleet) forgetAnswers(ctx context.Context) error {
	return f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) error {
		return tx.Exec("delete from howdah.idempotency where at < now() - $1::interval", answersFor)
	})
}
