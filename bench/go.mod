module github.com/cachegen/cachegen/bench

go 1.26.0
