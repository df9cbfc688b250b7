module weftwork/bench/go

go 1.22
