/** All words of the pages, in each language. What a program reads (the JSON of errors, the log) is English and not here. */
import { parseAccept } from "../http/accept.js";

/** One text in each language. `{n}` stands for a number, `{name}` for a person, `{date}` for a date. */
type Text = readonly [en: string, zh: string];

/** The values of the templates. */
const PAGE = {
  tagline: ["A chat room in your browser. Nothing to install.", "打开浏览器就能聊，无需安装。"],
  yourName: ["Your name", "你的名字"],
  nameNote: ["Shown next to your messages.", "显示在你的消息旁边。"],
  inside: ["You are logged in as {name}.", "你已以“{name}”的身份登录。"],
  enter: ["Join the room", "加入聊天室"],
  toForm: ["Skip to message box", "跳到消息输入框"],
  logOut: ["Log out", "退出"],
  people: ["People here", "在线的人"],
  log: ["Conversation", "聊天记录"],
  message: ["Message", "消息"],
  send: ["Send", "发送"],
  renewing: ["This page refreshes every 20 seconds.", "页面每 20 秒自动刷新。"],
  still: ["Refresh is paused.", "自动刷新已暂停。"],
  renew: ["Refresh now", "立即刷新"],
  stop: ["Pause refresh", "暂停刷新"],
  past: ["These are earlier messages.", "这些是较早的消息。"],
  failed: ["Live updates failed to start.", "实时更新未能启动。"],
  utc: ["Times are UTC.", "时间为协调世界时。"],
  newest: ["Newest messages", "最新消息"],
  back: ["Back to the room", "返回聊天室"],
} as const;

/** The words of the script. */
const SCRIPT = {
  joined: ["{name} joined", "{name} 来了"],
  left: ["{name} left", "{name} 离开了"],
  gap: ["Some messages are missing here.", "这里缺了一些消息。"],
  earlier: ["Earlier messages", "更早的消息"],
  begins: ["History begins here: {date}", "聊天记录从这里开始：{date}"],
  loading: ["Loading…", "正在加载…"],
  earlierFailed: ["Earlier messages could not be loaded.", "无法加载更早的消息。"],
  tryAgain: ["Try again", "重试"],
  newHere: ["New messages", "新消息"],
  here: ["{n} here", "{n} 人在线"],
  you: ["(you)", "（你）"],
  connecting: ["Connecting…", "正在连接…"],
  live: ["Connected", "已连接"],
  lost: ["Connection lost. Trying again…", "连接已断开，正在重试…"],
  offline: ["You are offline.", "你已离线。"],
  draining: ["The server is restarting…", "服务器正在重启…"],
  too_many_waiters: ["The room is full. Trying again…", "聊天室满了，正在重试…"],
  superseded: ["This conversation is open in another window.", "此对话已在另一个窗口中打开。"],
  no_session: ["You are logged out.", "你已退出登录。"],
  not_you: ["You are logged in as {name} now.", "你现在以“{name}”的身份登录。"],
  refused: ["The server has ended the connection.", "服务器结束了连接。"],
  logIn: ["Log in again", "重新登录"],
  reload: ["Reload", "重新加载"],
  newMessage: ["1 new message", "1 条新消息"],
  newMessages: ["{n} new messages", "{n} 条新消息"],
  sending: ["Sending…", "发送中…"],
  again: ["Send again", "重新发送"],
  drop: ["Delete", "删除"],
  hint: ["Enter sends, Shift+Enter makes a new line", "回车发送，Shift+回车换行"],
  tooLong: ["A message has at most 2,000 characters; this one has {n}.", "最多 2,000 字，这条有 {n} 字。"],
  invite: ["No messages yet. Share this address to invite people:", "还没有消息。分享这个地址邀请大家："],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
} as const;

/** By the protocol's code: what went wrong and what to do. */
const ERRORS = {
  bad_request: ["The server did not understand this request.", "服务器无法理解这个请求。"],
  bad_cursor: ["This place in the conversation was not found.", "聊天记录里没有这个位置。"],
  bad_name: ["Use 1–32 characters, no slashes or invisible characters.", "1–32 个字，不含斜杠和隐形字符。"],
  bad_message: [
    "A message has 1–2,000 characters, no control characters.",
    "请使用 1–2,000 个字，不含控制字符。",
  ],
  key_reused: ["This form was already used. Nothing was sent.", "这个表单已经用过，内容没有发送。"],
  name_taken: ["That name is taken. Try another, or try again later.", "名字有人用了。请换名，或稍后再试。"],
  cookies_blocked: ["Your browser blocks cookies. Allow them, then try again.", "请允许 Cookie 后重试。"],
  no_session: ["You are not logged in.", "你还没有登录。"],
  no_host_session: ["Log in to this site first, then come back.", "请先在本网站登录，然后再回来。"],
  not_you: ["You are logged in under another name.", "你登录的是另一个名字。"],
  foreign_origin: ["This request came from another site and was ignored.", "此请求来自其他网站，已被忽略。"],
  not_found: ["Page not found.", "找不到页面。"],
  method_not_allowed: ["This address does not support that action.", "此地址不支持该操作。"],
  too_large: ["That is too long to send.", "内容太长，无法发送。"],
  unsupported_type: ["The server does not accept this type of content.", "服务器不接受这种类型的内容。"],
  slow_down: ["Too many requests. Wait a few seconds, then try again.", "操作太频繁，请等几秒再试。"],
  too_many_waiters: ["The room is full. Try again soon.", "聊天室满了，请稍后再试。"],
  store_unavailable: ["Messages cannot be saved now. Try again soon.", "消息暂时无法保存，请稍后再试。"],
  draining: ["The server is restarting. Try again in a moment.", "服务器正在重启，请稍等再试。"],
  not_sent: ["Not sent.", "未发送。"],
  unreachable: ["Not sent. The server cannot be reached.", "未发送：无法连接服务器。"],
  internal: ["Something went wrong on our side. Try again soon.", "我们这边出了点问题，请稍后再试。"],
} as const;

/** The words of one language, and its tag. */
export type Strings = ReturnType<typeof stringsOf>;

const [EN, ZH] = [stringsOf("en", 0), stringsOf("zh-CN", 1)];

function stringsOf(lang: string, at: 0 | 1) {
  return { lang, page: column(PAGE, at), script: column(SCRIPT, at), errors: column<string>(ERRORS, at) };
}

function column<K extends string>(texts: Readonly<Record<K, Text>>, at: 0 | 1): Readonly<Record<K, string>> {
  const words = Object.entries<Text>(texts).map(([key, text]) => [key, text[at]]);
  return Object.fromEntries(words) as Record<K, string>;
}

/**
 * Returns the words for an `Accept-Language` header, English by default. Every kind of Chinese gets Simplified Chinese: most
 * readers of Traditional Chinese prefer it to English.
 */
export function stringsFor(acceptLanguage = ""): Strings {
  const [best] = parseAccept(acceptLanguage)
    .filter(({ q }) => q > 0)
    .sort((a, b) => b.q - a.q)
    .flatMap(({ value }) => [EN, ZH].filter(({ lang }) => lang.split("-")[0] === value.split("-")[0]));
  return best ?? EN;
}
