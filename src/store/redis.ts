export class RedisStore { }
