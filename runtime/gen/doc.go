// Package gen is what the code that cachegen generates is made of. It is for generated
// code alone, as protobuf's protoimpl is: anything in it may change with any version.
//
// Generated code names the constant of its version, [Generated5], so that code of a
// generator that does not fit this runtime fails to compile. What it does with the rest,
// the example shows: it opens a cache from a [Definition], looks into memory with [Hit] or
// [HitInt], and goes on with the methods of runtime.Cache.
//
// What is generic here is small on purpose: it is compiled again in each package with
// cached functions, for each of their types.
package gen

// Generated5 is named by generated code, so that code of a generator that does
// not fit this runtime fails to compile.
const Generated5 = true
