// Package schema has what code is generated from.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// A Number has a value.
type Number struct{ ent.Schema }

// Annotations implements ent.Interface.
func (Number) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("numbers")}
}

// Fields implements ent.Interface.
func (Number) Fields() []ent.Field { return []ent.Field{field.Int("v")} }
