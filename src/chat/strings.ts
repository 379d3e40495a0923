/**
 * All words of the pages, in each language that we speak; the script in the page gets its share of them with the page.
 * What a program reads (the JSON of errors, the log) stays in English and is not here.
 */
import { parseAccept } from "../http/accept.js";

const EN = {
  lang: "en",
  page: {
    tagline: "A room to talk in. Nothing to install.",
    yourName: "Your name",
    nameNote: "It stands beside what you say.",
    inside: "You are in as {name}.",
    enter: "Enter the room",
    toForm: "Skip to writing",
    logOut: "Log out",
    here: "{n} here",
    people: "Who is here",
    log: "Conversation",
    message: "Message",
    hint: "Enter sends, Shift+Enter makes a new line",
    send: "Send",
    renewing: "Without scripts, this page renews itself every 20 seconds. Times are UTC.",
    still: "This page stands still until you send something or renew it. Times are UTC.",
    renew: "Renew it now",
    stop: "Stand still while I write",
    back: "Back to the room",
  },
  script: {
    joined: "{name} joined",
    left: "{name} left",
    gap: "Some messages are missing here: you were away for longer than they are kept.",
    here: "{n} here",
    more: "and {n} more",
    connecting: "Connecting…",
    live: "Connected",
    lost: "Connection lost. Trying again…",
    offline: "You are offline.",
    restarting: "The server is restarting…",
    superseded: "The conversation goes on in another window.",
    no_session: "You are logged out.",
    not_you: "You are logged in under another name now.",
    refused: "The server has ended the connection.",
    logIn: "Log in again",
    reload: "Reload",
    failed: "Live updates failed to start.",
    newMessage: "1 new message",
    newMessages: "{n} new messages",
    sending: "Sending…",
    again: "Send again",
    drop: "Delete",
    tooLong: "A message has at most 2,000 characters; this one has {n}.",
  },
  errors: {
    bad_request: "The server could not make sense of this request.",
    bad_cursor: "There is no such place in the conversation.",
    bad_name: "This name will not do: 1 to 32 characters, no slashes, nothing invisible.",
    bad_message: "A message has 1 to 2,000 characters, and no control characters.",
    key_reused: "This key was already used for another message. Nothing was sent.",
    name_taken: "Somebody here has this name. Choose another, or try again in half a minute.",
    no_session: "You are not logged in.",
    no_host_session: "Log in at this site first, then come back.",
    not_you: "You are logged in under another name.",
    foreign_origin: "This came from another site, so nothing was done.",
    not_found: "There is nothing here.",
    method_not_allowed: "This address does something else.",
    too_large: "That is too long to be sent.",
    unsupported_type: "The server does not read this kind of content.",
    slow_down: "That was a lot at once. Wait a few seconds, then try again.",
    too_many_waiters: "The room is full. Try again soon.",
    store_unavailable: "Messages cannot be kept at the moment. Nothing was sent; try again soon.",
    draining: "The server is restarting. Try again in a moment.",
    unreachable: "Not sent: the server cannot be reached.",
    internal: "Something broke on our side.",
  },
};

/**
 * The words of one language: its tag for `lang`, what the templates are filled with, what the script says, and, by the
 * protocol's code, what went wrong and what to do. `{n}` stands for a number, `{name}` for a person.
 */
export interface Strings {
  readonly lang: string;
  readonly page: Readonly<Record<keyof typeof EN.page, string>>;
  readonly script: Readonly<Record<keyof typeof EN.script, string>>;
  readonly errors: Readonly<Record<string, string>>;
}

const ZH: Strings = {
  lang: "zh-CN",
  page: {
    tagline: "打开就能聊，无需安装。",
    yourName: "你的名字",
    nameNote: "它会显示在你说的话旁边。",
    inside: "你已用“{name}”这个名字进入。",
    enter: "进入聊天室",
    toForm: "跳到输入框",
    logOut: "退出",
    here: "{n} 人在线",
    people: "谁在这里",
    log: "聊天记录",
    message: "消息",
    hint: "回车发送，Shift+回车换行",
    send: "发送",
    renewing: "脚本未启用，页面每 20 秒自动刷新一次。时间为世界时。",
    still: "在你发送或刷新之前，页面不会变动。时间为世界时。",
    renew: "立即刷新",
    stop: "写完之前别刷新",
    back: "返回聊天室",
  },
  script: {
    joined: "{name} 来了",
    left: "{name} 离开了",
    gap: "这里缺了一些消息：你离开得太久，它们已不再保留。",
    here: "{n} 人在线",
    more: "还有 {n} 人",
    connecting: "正在连接…",
    live: "已连接",
    lost: "连接已断开，正在重试…",
    offline: "你已离线。",
    restarting: "服务器正在重启…",
    superseded: "对话已转到另一个窗口。",
    no_session: "你已退出登录。",
    not_you: "你现在用的是另一个名字。",
    refused: "服务器结束了连接。",
    logIn: "重新登录",
    reload: "重新加载页面",
    failed: "实时更新未能启动。",
    newMessage: "1 条新消息",
    newMessages: "{n} 条新消息",
    sending: "发送中…",
    again: "重新发送",
    drop: "删除",
    tooLong: "一条消息最多 2000 个字符，这条有 {n} 个。",
  },
  errors: {
    bad_request: "服务器无法理解这个请求。",
    bad_cursor: "聊天记录里没有这个位置。",
    bad_name: "这个名字不行：要 1 到 32 个字符，不含斜杠和不可见字符。",
    bad_message: "一条消息要 1 到 2000 个字符，不含控制字符。",
    key_reused: "这个键已用于另一条消息，内容没有发送。",
    name_taken: "这里已经有人用这个名字了。换一个，或者半分钟后再试。",
    no_session: "你还没有登录。",
    no_host_session: "请先在本网站登录，然后再回来。",
    not_you: "你登录的是另一个名字。",
    foreign_origin: "这个请求来自别的网站，没有执行。",
    not_found: "这里什么也没有。",
    method_not_allowed: "这个地址不是这样用的。",
    too_large: "内容太长，无法发送。",
    unsupported_type: "服务器不接受这种内容。",
    slow_down: "发得太快了。等几秒再试。",
    too_many_waiters: "聊天室满了，请稍后再试。",
    store_unavailable: "消息暂时无法保存，什么都没有发出，请稍后再试。",
    draining: "服务器正在重启，请稍等再试。",
    unreachable: "未能发送：连不上服务器。",
    internal: "我们这边出了点问题。",
  },
};

/**
 * The words for a caller, by `Accept-Language`: the wanted language among those that we have, else English. Every
 * Chinese gets Simplified: most who read Traditional would rather have it than English.
 */
export function stringsFor(acceptLanguage = ""): Strings {
  let chosen: Strings = EN;
  let most = 0;
  for (const { value, q } of parseAccept(acceptLanguage)) {
    const known = [EN, ZH].find(({ lang }) => value.split("-")[0] === lang.split("-")[0]);
    // Of two that are wanted alike, the first.
    if (!known || !(q > most)) continue;
    chosen = known;
    most = q;
  }
  return chosen;
}
